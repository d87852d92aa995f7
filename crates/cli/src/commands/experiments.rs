//! `hgad experiments`

use super::Outcome;
use std::process::ExitCode;

/// Lists the shipped experiments.
pub fn run() -> Outcome {
    let all = hgad_experiment::experiments();
    let width = all.iter().map(|(n, _)| n.len()).max().unwrap_or(0);
    for (name, about) in all {
        println!("{name:<width$}  {about}");
    }
    Ok(ExitCode::SUCCESS)
}
