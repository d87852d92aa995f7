//! The bar of the work at hand, as wide as the terminal allows.

use super::words;
use hgad_experiment::{PassPlace, StepRecord};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::time::{Duration, Instant};

/// Columns of the bar itself.
const WIDEST: usize = 28;
const NARROWEST: usize = 6;
/// Columns of `1234.5/s 119 min left` with the spaces before them.
const FIGURES: usize = 23;
/// How often the system is asked for memory.
const PAUSE: Duration = Duration::from_millis(500);

/// A bar on standard error.
pub struct Bar {
    bar: ProgressBar,
    memory: Option<u64>,
    asked: Option<Instant>,
}

impl Bar {
    /// Of a part: `what` it is, a bar, how many of `total` units, how fast, how long, and of the state
    /// what still fits.
    pub fn of_part(what: &str, total: u64, unit: &str) -> Self {
        Self::new(what, total, unit, "  {wide_msg}")
    }

    /// Of a pass of training, with losses and the like below.
    pub fn of_pass(place: &PassPlace) -> Self {
        let p = place;
        let what = format!("epoch {}/{} pass {}/{}", p.epoch, p.epochs, p.pass, p.passes);
        Self::new(&what, p.images, "images", "\n{msg}")
    }

    fn new(what: &str, total: u64, unit: &str, state: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let counts = 2 * total.to_string().len() + unit.len() + 2;
        let room = columns().saturating_sub(what.chars().count() + counts + FIGURES + 2);
        let line = match room.min(WIDEST) {
            ..NARROWEST => String::new(),
            width => format!("{{bar:{width}.cyan/blue}} "),
        };
        let template = format!("{{prefix}} {line}{{pos}}/{{len}} {unit}{{speed}}{{left}}{state}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            let speed = |s: &ProgressState, w: &mut dyn std::fmt::Write| {
                let speed = s.per_sec();
                if s.pos() > 0 && speed.is_finite() {
                    let _ = write!(w, " {speed:.1}/s");
                }
            };
            let left = |s: &ProgressState, w: &mut dyn std::fmt::Write| {
                let seconds = s.eta().as_secs_f64();
                if s.pos() > 0 && seconds >= 1.0 {
                    let _ = write!(w, " {} left", words::duration(seconds));
                }
            };
            let style = style.with_key("speed", speed).with_key("left", left);
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_prefix(what.to_string());
        Self { bar, memory: None, asked: None }
    }

    /// `done` units are finished.
    pub fn advance(&self, done: u64, state: &str) {
        self.bar.set_message(state.to_string());
        self.bar.set_position(done);
    }

    /// A step of a pass is done; `left` seconds of training are to go.
    pub fn step(&mut self, step: &StepRecord, left: Option<f64>, memory: fn() -> Option<u64>) {
        if self.asked.is_none_or(|t| t.elapsed() >= PAUSE) {
            self.memory = memory();
            self.asked = Some(Instant::now());
        }
        let pieces = words::step(step, self.memory, left);
        self.bar.set_message(words::wrap(&pieces, columns()));
        self.bar.set_position(step.images);
    }

    /// Does `write` with the bar out of the way.
    pub fn suspend<R>(&self, write: impl FnOnce() -> R) -> R {
        self.bar.suspend(write)
    }

    /// Takes it off the terminal.
    pub fn remove(self) {
        self.bar.finish_and_clear();
    }
}

/// Columns of the terminal.
pub fn columns() -> usize {
    console::Term::stderr().size().1 as usize
}
