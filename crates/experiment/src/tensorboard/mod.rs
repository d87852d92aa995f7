//! Event files for TensorBoard: scalars by pass, beside `metrics.jsonl`.
//!
//! Every process that works on a run writes a file of its own. One that goes on with a run says
//! from which pass on, and TensorBoard drops what earlier files have of it and later passes.

mod message;
mod record;

use crate::error::ExperimentError;
use crate::metrics_log::PassRecord;
use message::Event;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What names of event files begin with.
const PREFIX: &str = "events.out.tfevents.";

/// The event file that this process writes.
pub struct EventFile {
    path: PathBuf,
    file: File,
}

impl EventFile {
    /// A new file in `folder`, which comes after those that are there, for a run that has `earlier`
    /// passes behind it. What earlier files have of later passes is dropped; where there are none,
    /// the earlier passes are written too, with the time of now.
    ///
    /// # Errors
    /// I/O.
    pub fn begin(folder: &Path, earlier: &[PassRecord]) -> Result<Self, ExperimentError> {
        let now = seconds_since_1970();
        let before = files(folder)?;
        // TensorBoard reads files in the order of their names; a clock may have been set back.
        let stamp = before.last().map_or(now as u64, |(stamp, _)| (now as u64).max(*stamp));
        let path = folder.join(format!("{PREFIX}{stamp:010}.hgad.{:04}", before.len()));
        let file = File::options()
            .append(true)
            .create_new(true)
            .open(&path)
            .map_err(|e| ExperimentError::io("create", &path, e))?;
        let mut new = Self { path, file };
        new.write(&Event::version(now))?;
        if before.is_empty() {
            for record in earlier {
                new.write(&pass(record, now))?;
            }
        } else {
            let next = earlier.last().map_or(0, |r| r.pass) + 1;
            new.write(&Event::restart(now, next as i64))?;
        }
        Ok(new)
    }

    /// Adds a pass. It is on the disk when this returns, whole or, if the process dies within, as a
    /// record that readers leave out.
    ///
    /// # Errors
    /// I/O.
    pub fn add(&mut self, record: &PassRecord) -> Result<(), ExperimentError> {
        self.write(&pass(record, seconds_since_1970()))
    }

    fn write(&mut self, event: &Event) -> Result<(), ExperimentError> {
        let bytes = record::frame(&event.encode());
        self.file.write_all(&bytes).map_err(|e| ExperimentError::io("write", &self.path, e))
    }
}

/// The scalars of a pass.
fn pass(record: &PassRecord, time: f64) -> Event {
    let mut scalars = vec![("loss/total".to_string(), record.loss)];
    scalars.extend(record.terms.iter().map(|(name, v)| (format!("loss/{name}"), *v)));
    scalars.push(("rate".into(), record.rate));
    scalars.push(("seconds".into(), record.seconds));
    let tested =
        [("test/image_auroc", record.image_auroc), ("test/pixel_auroc", record.pixel_auroc)];
    scalars.extend(tested.into_iter().filter_map(|(name, v)| Some((name.to_string(), v?))));
    Event::scalars(time, record.pass as i64, scalars)
}

/// The event files in `folder`, in the order of their names, with the second in the name.
fn files(folder: &Path) -> Result<Vec<(u64, PathBuf)>, ExperimentError> {
    let entries = std::fs::read_dir(folder).map_err(|e| ExperimentError::io("list", folder, e))?;
    let stamp = |path: &Path| -> Option<u64> {
        let name = path.file_name()?.to_str()?.strip_prefix(PREFIX)?;
        name.split('.').next()?.parse().ok()
    };
    let mut all: Vec<(u64, PathBuf)> =
        entries.flatten().filter_map(|e| Some((stamp(&e.path())?, e.path()))).collect();
    all.sort();
    Ok(all)
}

fn seconds_since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}
