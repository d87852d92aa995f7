//! Progress and messages on standard error: a bar and lines on a terminal, plain lines where it is
//! none, JSON where that is asked for. Standard output is for results.

mod bar;
mod clock;
mod json;
mod log;
mod words;

use bar::Bar;
use clock::Clock;
use hgad_experiment::{Event, Observer, memory};
use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub use words::{chain, duration};

/// What is written to standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people, with a bar on a terminal.
    Text,
    /// A JSON object a line.
    Json,
}

/// How it is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Live,
    Lines,
    Json,
}

/// The bar that is shown, shared with what writes log lines between.
type SharedBar = Arc<Mutex<Option<Bar>>>;

/// Shows what an experiment tells.
pub struct Terminal {
    quiet: bool,
    style: Style,
    bar: SharedBar,
    runs: Mutex<HashMap<String, Running>>,
}

/// What is remembered of a run, or of the only one.
#[derive(Default)]
struct Running {
    clock: Clock,
    /// The part that it is at, and since when.
    part: Option<(String, Instant)>,
}

impl Terminal {
    /// On standard error; bars only where that is a terminal. Log lines of the libraries go there
    /// too, by HGAD_LOG (`debug`, `hgad_serve=trace`, ...), warnings without it.
    pub fn new(quiet: bool, format: LogFormat) -> Self {
        let style = match format {
            LogFormat::Json => Style::Json,
            LogFormat::Text if std::io::stderr().is_terminal() && !quiet => Style::Live,
            LogFormat::Text => Style::Lines,
        };
        let bar = SharedBar::default();
        let complaint = log::start(quiet, format, bar.clone());
        let terminal = Self { quiet, style, bar, runs: Mutex::default() };
        if let Some(text) = complaint {
            terminal.event(Event::Warning(&text));
        }
        terminal
    }

    /// Takes the bar away, so that something else can be printed.
    pub fn clear(&self) {
        if let Some(bar) = self.bar().take() {
            bar.remove();
        }
    }

    /// A line of results on standard output, above the bar.
    pub fn print(&self, text: &str) {
        match &*self.bar() {
            Some(bar) => bar.suspend(|| println!("{text}")),
            None => println!("{text}"),
        }
    }

    /// Says what ended the program.
    pub fn fail(&self, text: &str, code: u8) {
        self.clear();
        match self.style {
            Style::Json => json::failure(text, code),
            _ => eprintln!("error: {text}"),
        }
    }

    fn bar(&self) -> MutexGuard<'_, Option<Bar>> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn line(&self, text: &str) {
        let folded = (self.style == Style::Live).then(|| words::fold(text, bar::columns()));
        let text = folded.as_deref().unwrap_or(text);
        match &*self.bar() {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// An event of `run`, or of the only one; `apart` where several run at once.
    fn tell(&self, run: Option<&str>, apart: bool, event: &Event) {
        if let Event::Of { run, alone, event } = event {
            return self.tell(Some(run), !alone, event);
        }
        if self.quiet && !matches!(event, Event::Warning(_)) {
            return;
        }
        let key = run.unwrap_or_default();
        let mut left = None;
        let mut ended = None;
        {
            let mut runs = self.runs();
            let running = runs.entry(key.into()).or_default();
            match event {
                Event::BeginPass(place) => running.clock.begin(*place),
                Event::Step(step) => left = running.clock.left_after(step.images),
                Event::Pass(record) => left = running.clock.left(record.pass, record.passes),
                Event::Begin { what, .. } => {
                    running.part = Some((what.to_string(), Instant::now()))
                }
                Event::End => ended = running.part.take(),
                _ => {}
            }
        }
        match self.style {
            Style::Json => json::event(run, event, left, ended),
            Style::Live if !apart => self.live(event, left),
            _ => self.lines(run.filter(|_| apart), event, left),
        }
    }

    /// With a bar.
    fn live(&self, event: &Event, left: Option<f64>) {
        match event {
            Event::Begin { what, total, unit } => {
                *self.bar() = Some(Bar::of_part(what, *total, unit));
            }
            Event::BeginPass(place) => *self.bar() = Some(Bar::of_pass(place)),
            Event::Advance { done, state } => {
                if let Some(bar) = &*self.bar() {
                    bar.advance(*done, state);
                }
            }
            Event::Step(step) => {
                if let Some(bar) = &mut *self.bar() {
                    bar.step(step, left, memory::resident);
                }
            }
            Event::End => self.clear(),
            _ => self.lines(None, event, left),
        }
    }

    /// Line by line, each with the run's name where several run at once.
    fn lines(&self, run: Option<&str>, event: &Event, left: Option<f64>) {
        let name = run.map_or(String::new(), |r| format!("{r}: "));
        match event {
            Event::Warning(text) => self.line(&format!("warning: {name}{text}")),
            Event::Note(text) => self.line(&format!("{name}{text}")),
            // Evaluations have their figures in the pass's line; several runs would say too much.
            Event::Begin { what, total, unit } if run.is_none() && *what != "evaluating" => {
                self.line(&format!("{what}: {total} {unit}"));
            }
            Event::Pass(record) => self.line(&format!("{name}{}", words::pass(record, left))),
            _ => {}
        }
    }
}

impl Observer for Terminal {
    fn event(&self, event: Event) {
        self.tell(None, false, &event);
    }
}

/// Says what is wrong with the command line, before there is a terminal; gives the exit code.
pub fn refuse(error: &clap::Error) -> u8 {
    let code = u8::try_from(error.exit_code()).unwrap_or(1);
    if error.use_stderr() && json_asked(std::env::args()) {
        log::start(false, LogFormat::Json, SharedBar::default());
        json::failure(error.to_string().trim_start_matches("error: ").trim(), code);
    } else {
        let _ = error.print();
    }
    code
}

/// Whether `--log-format json` is among the arguments, however wrong the others are.
fn json_asked(arguments: impl Iterator<Item = String>) -> bool {
    let arguments: Vec<String> = arguments.collect();
    let apart = arguments.windows(2).any(|w| w[0] == "--log-format" && w[1] == "json");
    apart || arguments.iter().any(|a| a == "--log-format=json")
}
