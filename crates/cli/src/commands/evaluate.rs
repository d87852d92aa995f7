//! `hgad evaluate`

use super::Outcome;
use crate::arguments::EvaluateArguments;
use crate::terminal::Terminal;
use hgad_experiment::{Config, atomic, deployed_table, recalibrate, reevaluate, table};
use std::process::ExitCode;

/// Prints the table of a finished run, computed again.
pub fn run(a: EvaluateArguments, terminal: &Terminal) -> Outcome {
    let overrides = |config: &mut Config| {
        if let Some(root) = a.root {
            config.data.root = root;
        }
        if let Some(weights) = a.weights {
            config.backbone.weights = weights;
        }
        if let Some(rate) = a.false_alarm_rate {
            config.calibration.false_alarm_rate = rate;
        }
    };
    let (config, evaluation) = if a.recalibrate {
        recalibrate(&a.run, overrides, terminal)?
    } else {
        reevaluate(&a.run, overrides, terminal)?
    };
    terminal.clear();
    println!("{} after {} passes\n", config.name, evaluation.pass);
    print!("{}", table(&evaluation.classes, &evaluation.mean));
    if let Some(deployed) = &evaluation.deployed {
        print!("\n{}", deployed_table(deployed));
    }
    if let Some(path) = a.results {
        let text = serde_json::to_vec_pretty(&evaluation).unwrap_or_default();
        atomic::write_bytes(&path, &text)?;
    }
    Ok(ExitCode::SUCCESS)
}
