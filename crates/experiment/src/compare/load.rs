//! From what a user names to the results of a run.

use crate::error::ExperimentError;
use crate::results::Results;
use crate::run_folder::RunFolder;
use std::path::{Path, PathBuf};

/// The results at `path`, and where they were found.
pub(super) fn results(path: &Path) -> Result<(PathBuf, Results), ExperimentError> {
    if path.is_file() {
        let text = std::fs::read(path).map_err(|e| ExperimentError::io("read", path, e))?;
        let results = serde_json::from_slice(&text).map_err(|e| ExperimentError::File {
            path: path.into(),
            reason: format!("it is no results.json of a run ({e})"),
        })?;
        return Ok((path.into(), results));
    }
    let run = folder(path)?;
    Ok((run.results(), run.load_results()?))
}

/// The run in a folder, or the newest finished one of those in it.
fn folder(path: &Path) -> Result<RunFolder, ExperimentError> {
    if let Ok(run) = RunFolder::open(path) {
        return Ok(run);
    }
    let runs = RunFolder::all(path);
    let reason = match runs.len() {
        0 if path.is_dir() => "there is no run here; give a run's folder, such as runs/NAME/ID, a folder of runs, runs/NAME, or a results.json".into(),
        0 => "there is no such folder or file; give a run's folder, such as runs/NAME/ID".into(),
        n => match runs.into_iter().find(RunFolder::is_finished) {
            Some(run) => return Ok(run),
            None => format!("none of the {n} runs here is finished; go on with the newest with --resume"),
        },
    };
    Err(ExperimentError::Run { path: path.into(), reason })
}
