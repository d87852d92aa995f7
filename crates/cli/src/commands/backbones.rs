//! `hgad backbones`

use super::Outcome;
use std::process::ExitCode;

/// Lists the feature extractors.
pub fn run() -> Outcome {
    for line in hgad_backbones::known() {
        println!("{line}");
    }
    Ok(ExitCode::SUCCESS)
}
