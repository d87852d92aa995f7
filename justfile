# The verbs of a developer. `just` alone lists them.
default:
    @just --list

# Train and test an experiment: just experiment hgad-mvtec --set data.root=/data/mvtec
experiment name *args:
    cargo run --release -- experiment {{name}} {{args}}

# Run any command of the program: just hgad datasets list
hgad *args:
    cargo run --release -- {{args}}

# All tests. HGAD_ASSETS names the folder of optional test assets.
test:
    cargo test --workspace --release

# The parity tests without matrix tiles (avx512), without AVX-512 (avx2), or with what every processor has (baseline).
test-isa isa:
    HGAD_ISA={{isa}} cargo test --release -p hgad-kernels -p hgad-flows -p hgad-backbones -p hgad-experiment

# Format, as CI wants it.
fmt:
    cargo fmt --all

# What CI checks before the tests.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --release -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# The documentation of all crates.
doc:
    cargo doc --workspace --no-deps --open

# Times our side on synthetic input: just bench flow --json
bench *args:
    cargo run --release -- bench {{args}}

# Races hgad against PyTorch, ONNX Runtime and others, and writes docs/performance.md: just race --only flow
race *args:
    cargo build --release
    python3 race/race.py {{args}}

# Races a training step against PyTorch on a CUDA device, and writes docs/performance-cuda.md.
race-cuda *args:
    cargo build --release --features cuda
    python3 race/device.py --output docs/performance-cuda.md {{args}}

# Compiles the CUDA kernels with the nvcc on PATH; needs no GPU, and says so where there is no nvcc.
check-cuda:
    bash .ci/check-cuda

# Compares variants and seeds: just ablation priors --base demo
ablation name *args:
    cargo run --release -- ablation {{name}} {{args}}

# The reference of all settings, from the types.
reference:
    cargo run --release -- config --reference > docs/configuration.md

# Runs every command of docs/tutorial.md and compares what it prints.
tutorial:
    cargo build --release
    .ci/tutorial target/release/hgad

# The book, into target/book; needs mdbook.
book:
    mdbook build docs

# Everything CI does.
ci:
    bash .ci/run
