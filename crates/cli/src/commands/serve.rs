//! `hgad serve`

use super::Outcome;
use crate::terminal::Terminal;
use clap::Args;
use hgad_experiment::{Event, ExperimentError, Observer, Predictor, PredictorOptions};
use hgad_serve::{Batch, Limits, ServeOptions, serve};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// `hgad serve`
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hgad serve runs/demo/ID\n  hgad serve model.safetensors --bind 0.0.0.0:8080 --token-file token.txt\n\n  curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' localhost:8080/v1/predict\n  curl -F image=@a.png -F image=@b.png -F class=bottle 'localhost:8080/v1/predict?map=npy'\n  curl --data-binary @photo.jpg -H 'Accept: image/png' localhost:8080/v1/predict > overlay.png\n\nhttp://ADDRESS/ is a page to drop images on, /openapi.json describes the rest: /v1/model, /healthz,\n/readyz, /metrics. Images that wait while the model is at work go through it together. Stopped by\nSIGINT or SIGTERM, it finishes what it took. docs/serve.md has more."
)]
pub struct ServeArguments {
    /// model.safetensors, or the run folder that holds it.
    model: PathBuf,
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    bind: SocketAddr,
    /// File with the bearer token that requests must bring; HGAD_TOKEN is read without it.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The share of normal images that may be called anomalous, in place of the model's.
    #[arg(long, value_name = "RATE")]
    false_alarm_rate: Option<f64>,
    /// The backbone's weights file, for a model that was written without them.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// Where flow and prior are computed: cpu, cuda, metal; as they were trained by default.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// The most images that go through the model together.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(i64).range(1..=1024))]
    batch: i64,
    /// The most bytes of a request, in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 32, value_parser = clap::value_parser!(i64).range(1..=4096))]
    max_body: i64,
    /// The most pixels of a decoded image, in millions.
    #[arg(long, value_name = "MEGAPIXELS", default_value_t = 64, value_parser = clap::value_parser!(i64).range(1..=1000))]
    max_pixels: i64,
    /// The most requests for predictions at once; more are told to come again (429).
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    max_requests: i64,
    /// The most seconds a request may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    max_seconds: f64,
    /// The most seconds a connection may take to send the head of its next request; then it is closed.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    max_head_seconds: f64,
}

/// Serves a model until it is told to stop.
pub fn run(a: ServeArguments, terminal: &Terminal) -> Outcome {
    let token = token(&a)?;
    let options = ServeOptions {
        limits: Limits {
            body: (a.max_body as usize) << 20,
            pixels: a.max_pixels as u64 * 1_000_000,
            requests: a.max_requests as usize,
            time: seconds("--max-seconds", a.max_seconds)?,
            head: seconds("--max-head-seconds", a.max_head_seconds)?,
            ..Limits::default()
        },
        batch: Batch(a.batch as usize),
        token,
    };
    let predictor = Predictor::load(
        &a.model,
        &PredictorOptions {
            weights: a.weights,
            false_alarm_rate: a.false_alarm_rate,
            device: a.device.unwrap_or_default(),
        },
    )?;
    if options.token.is_none() && !a.bind.ip().is_loopback() {
        let text = format!(
            "{} can be reached from other machines, and no token is asked for; give --token-file",
            a.bind
        );
        terminal.event(Event::Warning(&text));
    }
    let classes = predictor.classes().join(", ");
    serve(predictor, a.bind, options, |address| {
        terminal.event(Event::Note(&format!("classes {classes}")));
        terminal.event(Event::Note(&format!("listening on http://{address}")));
    })?;
    terminal.event(Event::Note("stopped; all that was taken is answered"));
    Ok(ExitCode::SUCCESS)
}

/// A time above 0, so that something can be asked at all.
fn seconds(key: &'static str, seconds: f64) -> Result<Duration, ExperimentError> {
    let wrong =
        |reason: String| ExperimentError::Setting { key, value: seconds.to_string(), reason };
    if seconds == 0.0 {
        return Err(wrong("expected more than 0 seconds".into()));
    }
    Duration::try_from_secs_f64(seconds).map_err(|e| wrong(e.to_string()))
}

fn token(a: &ServeArguments) -> Result<Option<String>, ExperimentError> {
    let Some(path) = &a.token_file else {
        return Ok(std::env::var("HGAD_TOKEN").ok().filter(|t| !t.is_empty()));
    };
    let text = std::fs::read_to_string(path).map_err(|e| ExperimentError::io("read", path, e))?;
    match text.trim() {
        "" => {
            let reason = "the file is empty; write a token into it".into();
            Err(ExperimentError::File { path: path.clone(), reason })
        }
        token => Ok(Some(token.into())),
    }
}
