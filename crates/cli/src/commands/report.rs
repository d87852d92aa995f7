//! `hgad report`

use super::Outcome;
use crate::arguments::ReportArguments;
use hgad_experiment::report;
use std::process::ExitCode;

/// Draws the page of one run, or of several.
pub fn run(a: ReportArguments) -> Outcome {
    let path = report::render(&a.runs, a.out.as_deref())?;
    println!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}
