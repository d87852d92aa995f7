//! `origin.json`: where the model of an imported run came from.

use crate::error::ExperimentError;
use crate::exchange::Checkpoint;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file that a model was imported from. A run folder that has this was not trained here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// As it was given.
    pub file: String,
    /// BLAKE3 of its bytes, hexadecimal.
    pub blake3: String,
    /// Its `epoch`, where it has one.
    pub epoch: Option<u64>,
    /// Names in it that the model has no use for.
    pub ignored: Vec<String>,
}

impl Origin {
    /// Of an opened checkpoint.
    ///
    /// # Errors
    /// I/O.
    pub(super) fn of(path: &Path, checkpoint: &Checkpoint) -> Result<Self, ExperimentError> {
        let io = |e| ExperimentError::io("read", path, e);
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(std::fs::File::open(path).map_err(io)?).map_err(io)?;
        Ok(Self {
            file: path.display().to_string(),
            blake3: hasher.finalize().to_hex().to_string(),
            epoch: checkpoint.epoch,
            ignored: checkpoint.ignored.clone(),
        })
    }
}
