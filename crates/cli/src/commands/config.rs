//! `hgad config`

use super::Outcome;
use crate::arguments::ConfigArguments;
use hgad_experiment::{ExperimentError, compose, reference, schema};
use std::process::ExitCode;

/// Prints a resolved configuration, or what can be set.
pub fn run(a: ConfigArguments) -> Outcome {
    if a.reference {
        print!("{}", reference());
    } else if a.schema {
        println!("{:#}", schema());
    } else if let Some(name) = a.name {
        let config = compose(&name, &a.set)?;
        let text = toml::to_string(&config)
            .map_err(|e| ExperimentError::Config { origin: name, reason: e.to_string() })?;
        print!("{text}");
    }
    Ok(ExitCode::SUCCESS)
}
