//! The whole program `hgad`, with a prior and a backbone that are written here.

mod cosine;
mod student;

use std::process::ExitCode;

fn main() -> ExitCode {
    let registered =
        hgad_priors::register("student", student::build).map_err(|e| e.to_string()).and_then(
            |()| hgad_backbones::register("cosine", cosine::build).map_err(|e| e.to_string()),
        );
    if let Err(error) = registered {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    hgad::main()
}
