//! Progress and messages on the terminal, plain lines where it is none.

use hgad_experiment::{Event, Observer};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::io::IsTerminal;
use std::sync::Mutex;

/// Shows what an experiment tells.
pub struct Terminal {
    quiet: bool,
    live: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Terminal {
    /// On standard error; bars only where that is a terminal.
    pub fn new(quiet: bool) -> Self {
        let live = std::io::stderr().is_terminal() && !quiet;
        Self { quiet, live, bar: Mutex::new(None) }
    }

    /// Takes the bar away, so that something else can be printed.
    pub fn clear(&self) {
        if let Some(bar) = self.bar().take() {
            bar.finish_and_clear();
        }
    }

    /// A line of results on standard output, above the bar.
    pub fn print(&self, text: &str) {
        match &*self.bar() {
            Some(bar) => bar.suspend(|| println!("{text}")),
            None => println!("{text}"),
        }
    }

    fn bar(&self) -> std::sync::MutexGuard<'_, Option<ProgressBar>> {
        self.bar.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn line(&self, text: &str) {
        match &*self.bar() {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }
}

impl Observer for Terminal {
    fn event(&self, event: Event) {
        match event {
            Event::Warning(text) => self.line(&format!("warning: {text}")),
            _ if self.quiet => {}
            Event::Note(text) => self.line(text),
            Event::Begin { what, total, unit } if self.live => {
                let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
                let template = format!(
                    "{{prefix:<34}} {{bar:28.cyan/blue}} {{pos}}/{{len}} {unit} {{speed:>8}} {{eta:>4}} left  {{msg}}"
                );
                if let Ok(style) = ProgressStyle::with_template(&template) {
                    let speed = |s: &ProgressState, w: &mut dyn std::fmt::Write| {
                        let _ = write!(w, "{:.1}/s", s.per_sec());
                    };
                    bar.set_style(style.with_key("speed", speed).progress_chars("━╸─"));
                }
                bar.set_prefix(what.to_string());
                *self.bar() = Some(bar);
            }
            // Passes and evaluations have a line of their own at their end.
            Event::Begin { what, total, unit } => {
                if !what.starts_with("epoch") && what != "evaluating" {
                    self.line(&format!("{what}: {total} {unit}"));
                }
            }
            Event::Advance { done, state } => {
                if let Some(bar) = &*self.bar() {
                    bar.set_position(done);
                    bar.set_message(state.to_string());
                }
            }
            Event::End => self.clear(),
            Event::Pass(r) => {
                let terms: Vec<String> =
                    r.terms.iter().map(|(n, v)| format!("{n} {v:.3}")).collect();
                let mut text = format!(
                    "pass {}/{} (epoch {}): loss {:.3} [{}], rate {:.1e}, {:.1} s",
                    r.pass,
                    r.passes,
                    r.epoch,
                    r.loss,
                    terms.join(", "),
                    r.rate,
                    r.seconds
                );
                if let (Some(i), Some(p)) = (r.image_auroc, r.pixel_auroc) {
                    text += &format!(", test AUROC image {i:.4} pixel {p:.4}");
                }
                let left = (r.passes - r.pass) as f64 * r.seconds;
                if left >= 1.0 {
                    text += &format!(", about {} left", duration(left));
                }
                self.line(&text);
            }
        }
    }
}

/// Seconds for people.
fn duration(seconds: f64) -> String {
    let s = seconds.round() as u64;
    match s {
        0..=119 => format!("{s} s"),
        120..=7199 => format!("{} min", s / 60),
        _ => format!("{} h {} min", s / 3600, s % 3600 / 60),
    }
}

/// An error with what it was caused by, each said once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(cause) = at {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text += &format!(": {cause_text}");
        }
        at = cause.source();
    }
    text
}

/// Log lines of the libraries on standard error, by HGAD_LOG (`debug`, `hgad=trace`, ...).
pub fn logging(quiet: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("HGAD_LOG").unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new(if quiet { "error" } else { "warn" })
    });
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .try_init();
}
