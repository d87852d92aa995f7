//! `hgad experiment`

use super::Outcome;
use crate::arguments::ExperimentArguments;
use crate::terminal::Terminal;
use hgad_experiment::{Resume, RunOptions, compose, deployed_table, table};
use std::process::ExitCode;

/// Runs an experiment and prints its table.
pub fn run(a: ExperimentArguments, terminal: &Terminal) -> Outcome {
    let mut overrides = a.set;
    overrides.extend(a.device.map(|d| format!("device={d}")));
    if a.without_backbone {
        overrides.push("run.backbone_weights=false".into());
    }
    if a.tensorboard {
        overrides.push("run.tensorboard=true".into());
    }
    let config = compose(&a.name, &overrides)?;
    let resume = match a.resume {
        None => Resume::No,
        Some(None) => Resume::Newest,
        Some(Some(folder)) => Resume::Folder(folder),
    };
    let options = RunOptions { resume, results: a.results };
    let (folder, results) = hgad_experiment::run(&config, &options, terminal)?;
    terminal.clear();
    println!("\n{}", table(&results.classes, &results.mean));
    let best = &results.best_on_test;
    let text = |v: Option<f64>| v.map_or("undefined".into(), |v| format!("{v:.4}"));
    println!(
        "last pass ({}), the honest figure: image AUROC {}, pixel AUROC {}",
        results.passes,
        text(results.mean.image_auroc),
        text(results.mean.pixel_auroc)
    );
    let judged = match results.settings.eval.on.as_str() {
        "pasted" => "held-out images and pasted anomalies",
        _ => "the test set",
    };
    println!(
        "best pass on {judged} ({}), as the paper reports: image AUROC {}, pixel AUROC {}",
        best.pass,
        text(best.mean.image_auroc),
        text(best.mean.pixel_auroc)
    );
    if let Some(share) = results.class_accuracy {
        println!("class inferred rightly: {:.1} % of the test images", 100.0 * share);
    }
    if let Some(deployed) = &results.deployed {
        println!("\n{}", deployed_table(deployed));
    }
    let s = &results.seconds;
    println!(
        "seconds: features {:.1}, training {:.1}, evaluation {:.1}, maps {:.1}, report {:.1}, total {:.1}",
        s.features, s.training, s.evaluation, s.maps, s.report, s.total
    );
    let pictures = if folder.maps().is_dir() {
        " (heat maps in maps/, scores of all test images in scores.csv)"
    } else {
        " (scores of all test images in scores.csv)"
    };
    println!("run folder {}{pictures}", folder.path().display());
    println!("to use the model: hgad predict {} IMAGE-OR-FOLDER ...", folder.path().display());
    if folder.report().is_file() {
        println!("report {}", folder.report().display());
    }
    if results.settings.run.tensorboard {
        println!("curves: tensorboard --logdir {}", folder.path().display());
    }
    Ok(ExitCode::SUCCESS)
}
