//! Which process is at work on a run: a file that it holds a lock on, which the system lets go of
//! when the process ends, however it ends.

use crate::error::ExperimentError;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file in the run's folder.
const NAME: &str = ".lock";

/// Held while a process works on a run.
#[derive(Debug)]
pub struct RunLock {
    path: PathBuf,
    /// Where the file system has no locks there is none, and runs are not told apart.
    held: Option<File>,
}

impl RunLock {
    /// Takes the run in `folder`.
    ///
    /// # Errors
    /// Another process has it; I/O.
    pub(crate) fn take(folder: &Path) -> Result<Self, ExperimentError> {
        let path = folder.join(NAME);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|e| ExperimentError::io("create", &path, e))?;
        // Whoever asks whether it is taken holds it for a moment.
        let mut locked = file.try_lock();
        for _ in 0..5 {
            if !matches!(locked, Err(TryLockError::WouldBlock)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
            locked = file.try_lock();
        }
        match locked {
            Ok(()) => Ok(Self { path, held: Some(file) }),
            Err(TryLockError::WouldBlock) => {
                let reason = "another process is at work on this run; wait for it, or stop it";
                Err(ExperimentError::Run { path: folder.into(), reason: reason.into() })
            }
            Err(TryLockError::Error(_)) => Ok(Self { path, held: None }),
        }
    }

    /// Whether a process has the run in `folder`.
    pub(crate) fn is_taken(folder: &Path) -> bool {
        let Ok(file) = File::open(folder.join(NAME)) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Removed while it is held, so that nobody takes a file that is about to go.
        let _ = std::fs::remove_file(&self.path);
        drop(self.held.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!RunLock::is_taken(folder.path()));
        let lock = RunLock::take(folder.path()).unwrap();
        assert!(RunLock::is_taken(folder.path()));
        let message = RunLock::take(folder.path()).unwrap_err().to_string();
        assert!(message.contains("another process"), "{message}");
        drop(lock);
        assert!(!RunLock::is_taken(folder.path()));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        drop(RunLock::take(folder.path()).unwrap());
        // What a killed process leaves is free.
        std::fs::write(folder.path().join(NAME), "").unwrap();
        assert!(!RunLock::is_taken(folder.path()));
    }
}
