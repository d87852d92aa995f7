//! The program `hgad`: unified visual anomaly detection.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    hgad::main()
}
