//! `hgad export`

use super::Outcome;
use crate::arguments::ExportArguments;
use hgad_experiment::exchange::export;
use std::process::ExitCode;

/// Writes a model's parameters under the names of the authors' code.
pub fn run(a: ExportArguments) -> Outcome {
    let (file, classes) = export(&a.model, a.out.as_deref())?;
    println!("wrote {}", file.display());
    println!("classes in order, which the file does not keep: {}", classes.join(","));
    Ok(ExitCode::SUCCESS)
}
