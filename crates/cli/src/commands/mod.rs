//! One file a command.

pub mod ablation;
pub mod backbones;
pub mod bench;
pub mod cache;
pub mod compare;
pub mod completions;
pub mod config;
pub mod datasets;
pub mod doctor;
pub mod evaluate;
pub mod experiment;
pub mod experiments;
pub mod export;
pub mod import;
pub mod man;
pub mod predict;
pub mod report;
pub mod runs;
#[cfg(feature = "serve")]
pub mod serve;

use std::io::Write;
use std::process::ExitCode;

/// How a command ends.
pub type Outcome = Result<ExitCode, crate::failure::Failure>;

/// Writes `text` to standard output; a reader that has gone, such as `head`, wants no more of it.
fn print(text: &[u8]) -> Result<(), hgad_experiment::ExperimentError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(hgad_experiment::ExperimentError::io("write", "standard output".as_ref(), e))
        }
        _ => Ok(()),
    }
}
