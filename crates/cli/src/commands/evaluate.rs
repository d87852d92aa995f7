//! `hgad evaluate`

use super::Outcome;
use crate::arguments::EvaluateArguments;
use crate::terminal::Terminal;
use hgad_experiment::{atomic, reevaluate, table};
use std::process::ExitCode;

/// Prints the table of a finished run, computed again.
pub fn run(a: EvaluateArguments, terminal: &Terminal) -> Outcome {
    let (config, evaluation) = reevaluate(
        &a.run,
        |config| {
            if let Some(root) = a.root {
                config.data.root = root;
            }
            if let Some(weights) = a.weights {
                config.backbone.weights = weights;
            }
        },
        terminal,
    )?;
    terminal.clear();
    println!("{} after {} passes\n", config.name, evaluation.pass);
    print!("{}", table(&evaluation.classes, &evaluation.mean));
    if let Some(path) = a.results {
        let text = serde_json::to_vec_pretty(&evaluation).unwrap_or_default();
        atomic::write_bytes(&path, &text)?;
    }
    Ok(ExitCode::SUCCESS)
}
