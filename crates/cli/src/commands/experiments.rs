//! `hgad experiments`

use super::Outcome;
use std::process::ExitCode;

/// Lists the shipped experiments and ablations.
pub fn run() -> Outcome {
    list("hgad experiment NAME", &hgad_experiment::experiments());
    println!();
    list("hgad ablation NAME", &hgad_experiment::ablations());
    Ok(ExitCode::SUCCESS)
}

fn list(title: &str, all: &[(String, String)]) {
    println!("{title}");
    let width = all.iter().map(|(n, _)| n.len()).max().unwrap_or(0);
    for (name, about) in all {
        println!("  {name:<width$}  {about}");
    }
}
