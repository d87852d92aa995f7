//! `scores.csv`: the score of every test image, highest first within its class.

use crate::atomic;
use crate::error::ExperimentError;
use crate::evaluate::ClassMaps;
use crate::features::Features;
use std::path::Path;

/// The rows of the file.
pub struct ImageScores(String);

impl ImageScores {
    /// The head alone: class, image, defect (empty for a normal image), score.
    pub fn new() -> Self {
        Self("class,image,defect,score\n".into())
    }

    /// The images of one class.
    pub fn add(&mut self, of: &ClassMaps, features: &Features, class: &str) {
        let mut rows: Vec<(f32, usize)> =
            of.samples.iter().enumerate().map(|(i, s)| (of.image_score(i), *s)).collect();
        rows.sort_by(|a, b| b.0.total_cmp(&a.0));
        for (score, sample) in rows {
            let sample = &features.test[sample];
            let defect = sample.defect.as_deref().unwrap_or("");
            let cells = [class, &sample.id, defect].map(quoted);
            self.0 += &format!("{},{score}\n", cells.join(","));
        }
    }

    /// Writes the file.
    ///
    /// # Errors
    /// I/O.
    pub fn write(&self, path: &Path) -> Result<(), ExperimentError> {
        atomic::write_bytes(path, self.0.as_bytes())
    }
}

/// A cell of CSV (RFC 4180).
pub(crate) fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.into()
    }
}
