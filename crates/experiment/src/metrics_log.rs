//! `metrics.jsonl`: a line a pass.

use crate::error::ExperimentError;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::Path;

/// What one pass over the data gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PassRecord {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Pass over the whole run, from 1.
    pub pass: usize,
    /// Passes in the whole run.
    pub passes: usize,
    /// Learning rate of its last step.
    pub rate: f64,
    /// Mean total loss over steps and levels.
    pub loss: f64,
    /// Mean of each term over steps and levels.
    pub terms: Vec<(String, f64)>,
    /// Seconds the pass took.
    pub seconds: f64,
    /// Images trained on; 0 in files of earlier versions.
    #[serde(default)]
    pub images: u64,
    /// Bytes of the process in memory at its end, where the system tells.
    #[serde(default)]
    pub memory: Option<u64>,
    /// Mean image AUROC on the test set, where it was evaluated and is defined.
    pub image_auroc: Option<f64>,
    /// Mean pixel AUROC, likewise.
    pub pixel_auroc: Option<f64>,
}

impl PassRecord {
    /// Images a second, where they were counted.
    pub fn images_per_second(&self) -> Option<f64> {
        (self.images > 0 && self.seconds > 0.0).then(|| self.images as f64 / self.seconds)
    }
}

/// Appends a line.
///
/// # Errors
/// I/O.
pub fn append(path: &Path, record: &PassRecord) -> Result<(), ExperimentError> {
    let line = serde_json::to_string(record).unwrap_or_default() + "\n";
    std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut f| f.write_all(line.as_bytes()))
        .map_err(|e| ExperimentError::io("write", path, e))
}

/// The passes so far; none where there is no file. A line that was cut off is left out.
///
/// # Errors
/// I/O.
pub fn read(path: &Path) -> Result<Vec<PassRecord>, ExperimentError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(ExperimentError::io("read", path, e)),
    }
}

/// Keeps the lines of the first `passes` passes, for a run that goes on from a checkpoint.
///
/// # Errors
/// I/O.
pub fn truncate(path: &Path, passes: usize) -> Result<(), ExperimentError> {
    if !path.exists() {
        return Ok(());
    }
    let text = std::fs::read_to_string(path).map_err(|e| ExperimentError::io("read", path, e))?;
    let kept: String = text
        .lines()
        .filter(|l| serde_json::from_str::<PassRecord>(l).is_ok_and(|r| r.pass <= passes))
        .map(|l| format!("{l}\n"))
        .collect();
    crate::atomic::write_bytes(path, kept.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_back_to_the_last_place() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("metrics.jsonl");
        let loss = |i: usize| (i as f64 * 0.618_033_988_749_894_9).fract() / 3.0;
        let record = PassRecord {
            epoch: 1,
            pass: 1,
            passes: 1,
            rate: 2e-4,
            loss: 0.09769728620362898,
            terms: (0..200).map(|i| (i.to_string(), loss(i))).collect(),
            seconds: 1.0,
            images: 8,
            memory: None,
            image_auroc: None,
            pixel_auroc: None,
        };
        append(&path, &record).unwrap();
        assert_eq!(read(&path).unwrap(), [record]);
    }
}
