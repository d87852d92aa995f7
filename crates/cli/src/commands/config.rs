//! `hgad config`

use super::Outcome;
use crate::arguments::ConfigArguments;
use hgad_experiment::{ExperimentError, compose};
use std::process::ExitCode;

/// Prints a resolved configuration.
pub fn run(a: ConfigArguments) -> Outcome {
    let config = compose(&a.name, &a.set)?;
    let text = toml::to_string(&config)
        .map_err(|e| ExperimentError::Config { origin: a.name, reason: e.to_string() })?;
    print!("{text}");
    Ok(ExitCode::SUCCESS)
}
