//! `report.json` and `report.html`.

use super::{Collector, assemble, latents};
use crate::atomic;
use crate::error::ExperimentError;
use crate::evaluate::Truth;
use crate::features::Features;
use crate::metrics_log;
use crate::model::Model;
use crate::results::Results;
use crate::run_folder::RunFolder;
use hgad_report::{Report, SCHEMA, comparison, page};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Writes both files of `run`, trained in the run whose passes are in `metrics`, and adds the time
/// they took to `results`.
///
/// # Errors
/// I/O; what the flow gives.
pub fn write(
    run: &RunFolder,
    metrics: &Path,
    mut collected: Collector,
    model: &Model,
    features: &Features,
    truth: &Truth,
    results: &mut Results,
) -> Result<(), ExperimentError> {
    let started = Instant::now();
    let config = &results.settings;
    let mut report = assemble::assemble(results, &metrics_log::read(metrics)?);
    report.likelihoods = collected.likelihoods();
    report.image_scores = collected.image_scores;
    report.curves = collected.curves;
    report.gallery = collected.gallery;
    let count = config.report.vectors;
    report.latents = latents::latents(model, features, truth, count, config.seed)?;
    let took = started.elapsed().as_secs_f64();
    results.seconds.report += took;
    results.seconds.total += took;
    report.seconds = assemble::seconds(&results.seconds);
    let json = serde_json::to_vec(&report).map_err(|e| ExperimentError::File {
        path: run.report_data(),
        reason: format!("it cannot be written: {e}"),
    })?;
    atomic::write_bytes(&run.report_data(), &json)?;
    // Drawn of what is stored, whose numbers may differ in their last bit: so it can be drawn again.
    atomic::write_bytes(&run.report(), page(&load(run)?).as_bytes())
}

/// Draws the page of one run, or one that compares several, from what the runs stored, and gives where
/// it is: `out`, else `report.html` in the run's folder or `comparison.html` in this one.
///
/// # Errors
/// No run in a folder; one that stored nothing to draw; I/O.
pub fn render(runs: &[PathBuf], out: Option<&Path>) -> Result<PathBuf, ExperimentError> {
    let folders = runs.iter().map(|p| RunFolder::open(p)).collect::<Result<Vec<_>, _>>()?;
    let reports = folders.iter().map(load).collect::<Result<Vec<_>, _>>()?;
    let (html, usual) = match (&reports[..], &folders[..]) {
        ([one], [folder]) => (page(one), folder.report()),
        _ => (comparison(&reports), "comparison.html".into()),
    };
    let path = out.map_or(usual, Path::to_path_buf);
    atomic::write_bytes(&path, html.as_bytes())?;
    Ok(path)
}

fn load(run: &RunFolder) -> Result<Report, ExperimentError> {
    let path = run.report_data();
    let text = std::fs::read(&path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            ExperimentError::Run { path: run.path().into(), reason: no_data(run) }
        }
        _ => ExperimentError::io("read", &path, e),
    })?;
    let wrong = |what: String| ExperimentError::File {
        path: path.clone(),
        reason: format!(
            "{what}; was it written by another version? The run's config.toml repeats it"
        ),
    };
    let report: Report =
        serde_json::from_slice(&text).map_err(|e| wrong(format!("it cannot be read ({e})")))?;
    if report.schema != SCHEMA {
        return Err(wrong(format!("its schema is {}, expected {SCHEMA}", report.schema)));
    }
    Ok(report)
}

/// Why a run has nothing to draw, and the way out.
fn no_data(run: &RunFolder) -> String {
    if !run.is_finished() {
        return "there is no report.json here: the run was not finished; go on with it with --resume".into();
    }
    format!(
        "there is no report.json here: the run was made without a report; repeat it with \
         `hgad experiment {} --set report.enabled=true`",
        run.config().display()
    )
}
