//! Which runs there are below a folder, each in a few numbers.
//!
//! Files are read leniently, so that runs of other versions are listed too, and a folder that cannot
//! be read is listed with the reason.

use crate::error::ExperimentError;
use crate::metrics_log;
use crate::run_folder::RunFolder;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Folders further down are not looked into: a run is `run.dir/NAME/ID`, that of an ablation
/// `run.dir/ablation-NAME/VARIANT/ID`.
const DEPTH: usize = 6;

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum State {
    /// It has results.
    Finished,
    /// A process is at work on it.
    Running {
        /// Passes done.
        pass: usize,
        /// Passes in all; 0 where the configuration does not say.
        passes: usize,
    },
    /// It has no results, and no process is at work on it.
    Stopped {
        /// Passes done.
        pass: usize,
        /// Passes in all; 0 where the configuration does not say.
        passes: usize,
    },
    /// Its model was imported and not evaluated yet.
    Imported,
    /// It cannot be read.
    Broken {
        /// Why.
        reason: String,
    },
}

/// A run in a few numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSummary {
    /// The experiment; the folder above where that is not known.
    pub name: String,
    /// The run: the name of its folder.
    pub id: String,
    /// Its folder.
    pub path: PathBuf,
    /// How far it is.
    #[serde(flatten)]
    pub state: State,
    /// Whether its model was imported.
    pub imported: bool,
    /// Seed.
    pub seed: Option<u64>,
    /// Kind of prior.
    pub prior: Option<String>,
    /// Number of classes, where it is known.
    pub classes: Option<usize>,
    /// Mean over classes of the last evaluated pass.
    pub image_auroc: Option<f64>,
    /// Likewise.
    pub pixel_auroc: Option<f64>,
    /// Likewise; a run has it when it is finished.
    pub aupro: Option<f64>,
    /// What it took: in all where it is finished, else its passes.
    pub seconds: Option<f64>,
    /// Bytes on disk.
    pub bytes: u64,
    /// When it was begun, in seconds since 1970: as its name says, else the age of `config.toml`.
    pub started: u64,
}

/// What is read of `config.toml`.
#[derive(Deserialize)]
struct Settings {
    name: String,
    #[serde(default)]
    seed: u64,
    prior: Option<Prior>,
    train: Option<Train>,
}

#[derive(Deserialize)]
struct Prior {
    kind: String,
}

#[derive(Deserialize)]
struct Train {
    epochs: usize,
    passes: usize,
}

/// What is read of `results.json`.
#[derive(Deserialize)]
struct Reached {
    mean: Means,
    classes: BTreeMap<String, serde::de::IgnoredAny>,
    seconds: Took,
}

#[derive(Deserialize)]
struct Means {
    image_auroc: Option<f64>,
    pixel_auroc: Option<f64>,
    aupro: Option<f64>,
}

#[derive(Deserialize)]
struct Took {
    total: f64,
}

/// The runs in `folder` and below, the newest last; `folder` may be a run itself. Links are not
/// followed.
///
/// # Errors
/// `folder` cannot be listed. What is wrong below it is told in its place.
pub fn list(folder: &Path) -> Result<Vec<RunSummary>, ExperimentError> {
    // What cannot be listed itself is an error, what is below it a line.
    std::fs::read_dir(folder).map_err(|e| ExperimentError::io("list", folder, e))?;
    let mut out = Vec::new();
    walk(folder, DEPTH, &mut out);
    // Names tell seconds; of two runs of one second, their files tell which was first.
    out.sort_by_cached_key(|r| (r.started, written(&r.path), r.path.clone()));
    Ok(out)
}

fn walk(folder: &Path, depth: usize, out: &mut Vec<RunSummary>) {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) => return out.push(broken(folder, format!("it cannot be listed: {e}"))),
    };
    if is_run(folder) {
        return out.push(summary(folder));
    }
    if depth == 0 {
        return;
    }
    for entry in entries.flatten() {
        let name = entry.file_name();
        let hidden = name.to_string_lossy().starts_with('.');
        if !hidden && entry.file_type().is_ok_and(|t| t.is_dir()) {
            walk(&entry.path(), depth - 1, out);
        }
    }
}

/// Whether a run left this folder, though it may have lost files.
fn is_run(folder: &Path) -> bool {
    ["config.toml", "metrics.jsonl", "checkpoint/last.safetensors", "model.safetensors"]
        .iter()
        .any(|f| folder.join(f).is_file())
        || begun(folder)
}

/// An empty folder with the name of a run, `20260101-120000-s0`: what is left where a run was killed
/// at its beginning.
fn begun(folder: &Path) -> bool {
    let Some(name) = folder.file_name().and_then(|n| n.to_str()) else { return false };
    stamp(name).is_some() && std::fs::read_dir(folder).is_ok_and(|mut e| e.next().is_none())
}

/// Seconds since 1970 of a name like `20260101-120000-s0`.
fn stamp(name: &str) -> Option<u64> {
    let format = time::macros::format_description!("[year][month][day]-[hour][minute][second]");
    let (date, rest) = name.split_at_checked(15)?;
    let time = time::PrimitiveDateTime::parse(date, format).ok()?;
    rest.starts_with("-s").then(|| time.assume_utc().unix_timestamp().max(0) as u64)
}

fn summary(folder: &Path) -> RunSummary {
    let Ok(run) = RunFolder::open(folder) else {
        return broken(folder, "there is no config.toml".into());
    };
    let text = match std::fs::read_to_string(run.config()) {
        Ok(text) => text,
        Err(e) => return broken(folder, format!("config.toml cannot be read: {e}")),
    };
    let settings: Settings = match toml::from_str(&text) {
        Ok(settings) => settings,
        Err(e) => return broken(folder, format!("config.toml: {}", e.message())),
    };
    let passes = settings.train.map_or(0, |t| t.epochs.saturating_mul(t.passes));
    let records = metrics_log::read(&run.metrics()).unwrap_or_default();
    let tested = records.iter().rev().find(|r| r.image_auroc.or(r.pixel_auroc).is_some());
    let done = records.last().map_or(0, |r| r.pass);
    let reached = run.is_finished().then(|| reached(&run));
    let state = match &reached {
        Some(Ok(_)) => State::Finished,
        Some(Err(reason)) => State::Broken { reason: reason.clone() },
        None if run.is_running() => State::Running { pass: done, passes },
        None if run.is_imported() => State::Imported,
        None => State::Stopped { pass: done, passes },
    };
    let reached = reached.and_then(Result::ok);
    let mean = reached.as_ref().map(|r| &r.mean);
    let trained = || (!records.is_empty()).then(|| records.iter().map(|r| r.seconds).sum());
    RunSummary {
        name: settings.name,
        id: run.id(),
        path: folder.into(),
        state,
        imported: run.is_imported(),
        seed: Some(settings.seed),
        prior: settings.prior.map(|p| p.kind),
        classes: reached.as_ref().map(|r| r.classes.len()),
        image_auroc: mean.map_or_else(|| tested.and_then(|r| r.image_auroc), |m| m.image_auroc),
        pixel_auroc: mean.map_or_else(|| tested.and_then(|r| r.pixel_auroc), |m| m.pixel_auroc),
        aupro: mean.and_then(|m| m.aupro),
        seconds: reached.as_ref().map_or_else(trained, |r| Some(r.seconds.total)),
        bytes: size(folder),
        started: started(folder),
    }
}

fn reached(run: &RunFolder) -> Result<Reached, String> {
    let text =
        std::fs::read(run.results()).map_err(|e| format!("results.json cannot be read: {e}"))?;
    serde_json::from_slice(&text).map_err(|e| format!("results.json: {e}"))
}

fn broken(folder: &Path, reason: String) -> RunSummary {
    let last = |path: Option<&Path>| -> String {
        path.and_then(Path::file_name).map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
    };
    RunSummary {
        name: last(folder.parent()),
        id: last(Some(folder)),
        path: folder.into(),
        state: State::Broken { reason },
        imported: false,
        seed: None,
        prior: None,
        classes: None,
        image_auroc: None,
        pixel_auroc: None,
        aupro: None,
        seconds: None,
        bytes: size(folder),
        started: started(folder),
    }
}

/// When the run in `folder` was begun, in seconds since 1970.
fn started(folder: &Path) -> u64 {
    let name = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let seconds = |t: SystemTime| Some(t.duration_since(UNIX_EPOCH).ok()?.as_secs());
    stamp(&name).or_else(|| written(folder).and_then(seconds)).unwrap_or(0)
}

/// When the configuration of the run in `folder` was written.
fn written(folder: &Path) -> Option<SystemTime> {
    std::fs::metadata(folder.join("config.toml")).and_then(|m| m.modified()).ok()
}

/// Bytes of all files below `folder`.
fn size(folder: &Path) -> u64 {
    let mut bytes = 0;
    let mut open = vec![folder.to_path_buf()];
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(&at).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(m) if m.is_dir() => open.push(entry.path()),
                Ok(m) if m.is_file() => bytes += m.len(),
                _ => {}
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_when() {
        assert_eq!(stamp("20260101-120000-s0"), Some(1_767_268_800));
        assert_eq!(stamp("20260101-120000-s12-2"), Some(1_767_268_800));
        for other in ["20261301-120000-s0", "20260101-120000", "btad-authors", "ä20260101-12000-s0"]
        {
            assert_eq!(stamp(other), None, "{other}");
        }
    }

    #[test]
    fn of_runs_of_one_second_the_first_begun_is_first() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str, id: &str, seconds: u64, nanos: u32| {
            let folder = place.path().join(name).join(id);
            std::fs::create_dir_all(&folder).unwrap();
            let file = std::fs::File::create(folder.join("config.toml")).unwrap();
            file.set_modified(UNIX_EPOCH + std::time::Duration::new(seconds, nanos)).unwrap();
        };
        at("b", "20260101-120000-s0", 1_767_268_800, 100);
        at("a", "20260101-120000-s0", 1_767_268_800, 900_000_000);
        // Copied since, but named for the second before.
        at("c", "20260101-115959-s0", 1_800_000_000, 0);
        let names: Vec<String> = list(place.path()).unwrap().into_iter().map(|r| r.name).collect();
        assert_eq!(names, ["c", "b", "a"]);
    }
}
