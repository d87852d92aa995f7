//! Runs what an ablation asks for and is not there yet.

use super::plan::{Plan, PlannedRun};
use super::summary::Summary;
use super::{figure, memory, text};
use crate::atomic;
use crate::config::{
    CalibrationConfig, Config, EvalConfig, MapsConfig, ReportConfig, RunConfig, ScoreConfig,
};
use crate::error::ExperimentError;
use crate::progress::{Event, Observer};
use crate::results::Results;
use crate::run::{Resume, RunOptions, rescore};
use crate::run_folder::RunFolder;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How an ablation is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Runs at once, each with its share of the threads; more are begun only where memory allows.
    pub jobs: usize,
    /// Run everything again, whatever is there.
    pub fresh: bool,
    /// Where the summary is written besides the ablation's folder.
    pub results: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { jobs: 1, fresh: false, results: None }
    }
}

/// A run that is finished, by its place in the plan.
type Finished = (usize, RunFolder, Results);

/// What the workers share.
struct State {
    waiting: VecDeque<Vec<usize>>,
    running: usize,
    /// Whether a run has trained a pass, so that memory taken can be judged.
    warm: bool,
    finished: Vec<Finished>,
    failed: Vec<String>,
    stopped: Option<ExperimentError>,
}

/// Runs what is missing of `plan` and gives the table over all of it. Finished runs with the same
/// settings are kept, unfinished ones gone on with; runs that differ in their scores alone share a
/// trained model. The table so far is written to the plan's folder after every run.
///
/// A run whose loss diverges is told and left out; everything else that fails stops the ablation,
/// with what is finished kept.
///
/// # Errors
/// What stopped it; all runs failed.
pub fn run(
    plan: &Plan,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Summary, ExperimentError> {
    let jobs = options.jobs.max(1);
    let threads = (rayon::current_num_threads() / jobs).max(1);
    let state = Mutex::new(State {
        waiting: groups(&plan.runs),
        running: 0,
        warm: false,
        finished: Vec::new(),
        failed: Vec::new(),
        stopped: None,
    });
    let work = Work { plan, options, observer, state: &state };
    if jobs == 1 {
        work.worker();
    } else {
        std::thread::scope(|scope| {
            for _ in 0..jobs {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                let work = &work;
                scope.spawn(move || match pool {
                    Ok(pool) => pool.install(|| work.worker()),
                    Err(e) => {
                        let text = format!("one job less: its threads cannot start ({e})");
                        work.observer.event(Event::Warning(&text));
                    }
                });
            }
        });
    }
    let state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = state.stopped {
        return Err(error);
    }
    let summary = Summary::new(plan, &state.finished, state.failed);
    if summary.rows.iter().all(|r| r.seeds.is_empty()) {
        let reason = format!("every run failed: {}", summary.failed.join("; "));
        return Err(ExperimentError::Run { path: plan.folder(), reason });
    }
    write(plan, options, &summary)?;
    Ok(summary)
}

/// Runs that can share one trained model together, in the order of the plan.
fn groups(runs: &[PlannedRun]) -> VecDeque<Vec<usize>> {
    let mut groups: VecDeque<Vec<usize>> = VecDeque::new();
    for (i, run) in runs.iter().enumerate() {
        let same = |g: &&mut Vec<usize>| share_training(&runs[g[0]].config, &run.config);
        match groups.iter_mut().find(same) {
            Some(group) => group.push(i),
            None => groups.push_back(vec![i]),
        }
    }
    groups
}

/// Whether two configurations train the same model. Where the test set is evaluated on the way,
/// the best pass depends on the scores, and each trains its own.
fn share_training(a: &Config, b: &Config) -> bool {
    let key = |c: &Config| Config {
        name: String::new(),
        about: String::new(),
        run: RunConfig::default(),
        score: ScoreConfig::default(),
        eval: EvalConfig::default(),
        maps: MapsConfig::default(),
        calibration: CalibrationConfig {
            share: c.calibration.share,
            minimum: c.calibration.minimum,
            ..CalibrationConfig::default()
        },
        report: ReportConfig::default(),
        ..c.clone()
    };
    a.eval.every == 0 && b.eval.every == 0 && key(a) == key(b)
}

struct Work<'a> {
    plan: &'a Plan,
    options: &'a Options,
    observer: &'a dyn Observer,
    state: &'a Mutex<State>,
}

impl Work<'_> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn worker(&self) {
        while let Some(group) = self.next() {
            for &index in &group {
                if self.state().stopped.is_some() {
                    break;
                }
                let outcome = self.one(index, &group);
                let mut state = self.state();
                state.warm = true;
                match outcome {
                    Ok(finished) => state.finished.push(finished),
                    Err(e @ ExperimentError::Diverged { .. }) => {
                        let text = format!("{}: {e}", self.label(index));
                        self.observer.event(Event::Warning(&text));
                        state.failed.push(text);
                    }
                    Err(e) => state.stopped = Some(e),
                }
                let so_far = Summary::new(self.plan, &state.finished, state.failed.clone());
                if let Err(e) = write(self.plan, &Options::default(), &so_far) {
                    state.stopped.get_or_insert(e);
                }
            }
            self.state().running -= 1;
        }
    }

    /// The next runs, when there is room for them.
    fn next(&self) -> Option<Vec<usize>> {
        loop {
            let mut state = self.state();
            if state.waiting.is_empty() || state.stopped.is_some() {
                return None;
            }
            let alone = state.running == 0;
            if alone || (state.warm && memory::fits_another(state.running)) {
                state.running += 1;
                return state.waiting.pop_front();
            }
            drop(state);
            std::thread::sleep(memory::PAUSE);
        }
    }

    fn label(&self, index: usize) -> String {
        let run = &self.plan.runs[index];
        format!("{}, seed {}", self.plan.spec.variants[run.variant].name, run.config.seed)
    }

    fn one(&self, index: usize, group: &[usize]) -> Result<Finished, ExperimentError> {
        let config = &self.plan.runs[index].config;
        let label = format!("{} ({} of {})", self.label(index), index + 1, self.plan.runs.len());
        let tell = |what: &str| self.observer.event(Event::Note(&format!("── {label}{what}")));
        if !self.options.fresh
            && let Some(run) = RunFolder::newest(config, true)
        {
            tell(&format!(": finished before, {}", run.path().display()));
            let results = run.load_results()?;
            return Ok((index, run, results));
        }
        let tagged = Tagged { work: self, label: self.label(index) };
        let donor =
            self.state().finished.iter().find(|f| group.contains(&f.0)).map(|f| f.1.clone());
        if let Some(donor) = donor {
            tell(&format!(": scored with the model of {}", donor.path().display()));
            let (run, results) = rescore(config, &donor, &tagged)?;
            return Ok((index, run, results));
        }
        tell("");
        let unfinished = (!self.options.fresh).then(|| RunFolder::newest(config, false)).flatten();
        let resume = unfinished.map_or(Resume::No, |r| Resume::Folder(r.path().into()));
        let options = RunOptions { resume, results: None };
        let (run, results) = crate::run::run(config, &options, &tagged)?;
        Ok((index, run, results))
    }
}

/// Tells of one run, with its name.
struct Tagged<'a> {
    work: &'a Work<'a>,
    label: String,
}

impl Observer for Tagged<'_> {
    fn event(&self, event: Event) {
        if let Event::Pass(_) = event {
            self.work.state().warm = true;
        }
        let alone = self.work.options.jobs <= 1;
        self.work.observer.event(Event::Of { run: &self.label, alone, event: &event });
    }
}

/// Writes the table in all its forms.
fn write(plan: &Plan, options: &Options, summary: &Summary) -> Result<(), ExperimentError> {
    let folder = plan.folder();
    atomic::create_dir(&folder)?;
    let json = serde_json::to_vec_pretty(summary).unwrap_or_default();
    for (name, content) in [
        ("results.json", json.as_slice()),
        ("table.md", text::markdown(summary).as_bytes()),
        ("table.csv", text::csv(summary).as_bytes()),
        ("figure.svg", figure::svg(summary).as_bytes()),
    ] {
        atomic::write_bytes(&folder.join(name), content)?;
    }
    match &options.results {
        Some(path) => atomic::write_bytes(path, &json),
        None => Ok(()),
    }
}
