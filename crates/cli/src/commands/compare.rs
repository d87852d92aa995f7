//! `hgad compare`

use super::Outcome;
use crate::arguments::CompareArguments;
use hgad_experiment::atomic;
use hgad_experiment::compare::{compare, curve, text};
use std::process::ExitCode;

/// Prints runs beside published numbers.
pub fn run(a: CompareArguments) -> Outcome {
    let comparison = compare(&a.runs, a.published.as_deref())?;
    if let Some(path) = &a.curve {
        atomic::write_bytes(path, curve::svg(&curve::curves(&a.runs)?).as_bytes())?;
    }
    if a.json {
        let json = serde_json::to_value(&comparison).unwrap_or_default();
        println!("{json:#}");
    } else if a.markdown {
        print!("{}", text::markdown(&comparison));
    } else {
        print!("{}", text::plain(&comparison));
    }
    Ok(ExitCode::SUCCESS)
}
