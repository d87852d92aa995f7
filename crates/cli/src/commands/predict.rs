//! `hgad predict`

use super::Outcome;
use crate::arguments::{MapFile, PredictArguments};
use crate::terminal::Terminal;
use hgad_experiment::predict::{
    ClassSource, JobOptions, MapFormat, Row, find_images, predict_files,
};
use hgad_experiment::{Event, Observer, Predictor, PredictorOptions};
use std::process::ExitCode;
use std::time::Instant;

/// The exit code where `--fail-on-anomaly` is given and something was anomalous.
const ANOMALOUS: u8 = 3;

/// Looks at images with a trained model.
pub fn run(a: PredictArguments, terminal: &Terminal) -> Outcome {
    let started = Instant::now();
    let predictor = Predictor::load(
        &a.model,
        &PredictorOptions {
            weights: a.weights,
            false_alarm_rate: a.false_alarm_rate,
            device: a.device.unwrap_or_default(),
        },
    )?;
    let loading = started.elapsed().as_secs_f64();
    let paths = find_images(&a.paths, &mut std::io::stdin().lock())?;
    let note = |text: &str| terminal.event(Event::Note(text));
    note(&format!(
        "{} classes ({}), false-alarm rate {}, loaded in {loading:.2} s",
        predictor.classes().len(),
        predictor.classes().join(", "),
        predictor.false_alarm_rate()
    ));
    let caveats = predictor.caveats();
    if let Some((class, why)) = caveats.first() {
        let others = match caveats.len() - 1 {
            0 => String::new(),
            n => format!(" (and {n} more)"),
        };
        note(&format!("no guarantee for {class}{others}: {why}"));
    }
    let listed = a.out.is_none();
    let classes = match (a.class, a.class_from_folder) {
        (Some(name), _) => ClassSource::Given(name),
        (None, true) => ClassSource::Folder,
        (None, false) => ClassSource::Inferred,
    };
    let format = |m: &MapFile| match m {
        MapFile::Png => MapFormat::Png,
        MapFile::Npy => MapFormat::Npy,
    };
    let options = JobOptions {
        classes,
        batch: a.batch,
        out: a.out.clone(),
        overlays: a.overlays,
        maps: a.maps.iter().map(format).collect(),
    };
    let report = predict_files(&predictor, &paths, &options, terminal, |row| {
        if let Row::Looked(l) = row
            && listed
        {
            let sign = if l.score > l.threshold { '>' } else { '≤' };
            let class = l.class.as_deref().unwrap_or("none of them");
            terminal.print(&format!(
                "{:<9}  {:.4} {sign} {:.4}  {class}  {}",
                l.verdict, l.score, l.threshold, l.path
            ));
        }
    })?;
    terminal.clear();
    let none = match report.none {
        0 => String::new(),
        n => format!(" ({n} none of the classes)"),
    };
    note(&format!(
        "{} images: {} anomalous{none}, {} bad; {:.1} images/s",
        report.images,
        report.anomalous,
        report.bad,
        report.images as f64 / report.seconds.max(1e-9)
    ));
    if let Some(out) = &a.out {
        note(&format!("predictions.jsonl and predictions.csv are in {}", out.display()));
    }
    Ok(if report.bad > 0 {
        ExitCode::FAILURE
    } else if a.fail_on_anomaly && report.anomalous > 0 {
        ExitCode::from(ANOMALOUS)
    } else {
        ExitCode::SUCCESS
    })
}
