//! `hgad completions`

use super::Outcome;
use crate::arguments::{Arguments, CompletionsArguments};
use clap::CommandFactory;
use std::process::ExitCode;

/// Prints the script of a shell.
pub fn run(a: CompletionsArguments) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(a.shell, &mut Arguments::command(), "hgad", &mut script);
    super::print(&script)?;
    Ok(ExitCode::SUCCESS)
}
