//! Events as log lines, for programs that read along.

use super::words;
use hgad_experiment::Event;
use hgad_experiment::metrics_log::PassRecord;
use serde_json::{Map, Value};
use std::time::Instant;

/// The target of these lines, by which they are let through whatever HGAD_LOG says.
pub const TARGET: &str = "hgad::terminal";

/// What `event` of `run` says: seconds `left` to train, the part that `ended` with its beginning.
pub fn event(
    run: Option<&str>,
    event: &Event,
    left: Option<f64>,
    ended: Option<(String, Instant)>,
) {
    match event {
        Event::Note(text) => tracing::info!(target: TARGET, run, "{text}"),
        Event::Warning(text) => tracing::warn!(target: TARGET, run, "{text}"),
        Event::Begin { what, total, unit } => {
            tracing::info!(target: TARGET, run, part = what, total, unit, "begin");
        }
        Event::End => {
            // A pass ends too, and has its own line.
            if let Some((part, begun)) = ended {
                let seconds = words::thousandths(begun.elapsed().as_secs_f64());
                tracing::info!(target: TARGET, run, part, seconds, "end");
            }
        }
        Event::Pass(record) => pass(run, record, left),
        Event::Advance { .. } | Event::BeginPass(_) | Event::Step(_) | Event::Of { .. } => {}
    }
}

fn pass(run: Option<&str>, r: &PassRecord, left: Option<f64>) {
    let terms: Map<String, Value> =
        r.terms.iter().map(|(name, value)| (name.clone(), (*value).into())).collect();
    let terms_json = Value::Object(terms).to_string();
    tracing::info!(
        target: TARGET,
        run,
        epoch = r.epoch,
        pass = r.pass,
        passes = r.passes,
        loss = r.loss,
        terms_json,
        rate = r.rate,
        seconds = r.seconds,
        images = r.images,
        images_per_second = r.images_per_second().map(words::thousandths),
        memory = r.memory,
        image_auroc = r.image_auroc,
        pixel_auroc = r.pixel_auroc,
        seconds_left = left.map(words::thousandths),
        "pass"
    );
}

/// What ended the program.
pub fn failure(text: &str, code: u8) {
    tracing::error!(target: TARGET, exit_code = code, "{text}");
}
