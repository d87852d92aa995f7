//! `predictions.jsonl` and `predictions.csv`: a row an image.

use super::prediction::{Prediction, Region};
use crate::atomic;
use crate::error::ExperimentError;
use crate::image_scores::quoted;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// What is said of one file.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Row {
    /// It was looked at.
    Looked(Box<Looked>),
    /// It could not be.
    Bad {
        /// The file.
        path: String,
        /// Why.
        error: String,
    },
}

/// The row of an image that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Looked {
    /// The file, as it was named.
    pub path: String,
    /// Its class; `null` where it is none of them.
    pub class: Option<String>,
    /// The class whose constants and threshold were used.
    pub scored_as: String,
    /// By class.
    pub class_probabilities: BTreeMap<String, f64>,
    /// See [`Prediction::score`].
    pub score: f64,
    /// See [`Prediction::threshold`].
    pub threshold: f64,
    /// See [`Prediction::guaranteed`].
    pub guaranteed: bool,
    /// `normal` or `anomalous`.
    pub verdict: &'static str,
    /// See [`Prediction::regions`].
    pub regions: Vec<Region>,
    /// The overlay, from the folder of predictions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlay: Option<String>,
    /// Raw maps, from the folder of predictions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub maps: Vec<String>,
}

impl Looked {
    /// The row of `prediction`, with no pictures yet.
    pub(crate) fn new(path: &Path, prediction: &Prediction, classes: &[String]) -> Self {
        let probabilities = classes.iter().cloned().zip(prediction.class_probabilities.clone());
        Self {
            path: path.to_string_lossy().into_owned(),
            class: prediction.class.clone(),
            scored_as: prediction.scored_as.clone(),
            class_probabilities: probabilities.collect(),
            score: prediction.score,
            threshold: prediction.threshold,
            guaranteed: prediction.guaranteed,
            verdict: if prediction.anomalous { "anomalous" } else { "normal" },
            regions: prediction.regions.clone(),
            overlay: None,
            maps: Vec::new(),
        }
    }
}

impl Row {
    /// Cells: path, class, score, threshold, verdict, number of regions, the box, area and peak of the
    /// one with the highest peak, error.
    fn csv(&self) -> String {
        let cells: Vec<String> = match self {
            Self::Bad { path, error } => {
                let mut cells = vec![path.clone()];
                cells.extend(
                    ["", "", "", "unreadable", "", "", "", "", "", "", ""].map(String::from),
                );
                cells.push(error.clone());
                cells
            }
            Self::Looked(l) => {
                let mut cells = vec![
                    l.path.clone(),
                    l.class.clone().unwrap_or_default(),
                    l.score.to_string(),
                    l.threshold.to_string(),
                    l.verdict.into(),
                    l.regions.len().to_string(),
                ];
                cells.extend(match l.regions.first() {
                    Some(r) => [
                        r.x.to_string(),
                        r.y.to_string(),
                        r.width.to_string(),
                        r.height.to_string(),
                        r.area.to_string(),
                        r.peak.to_string(),
                    ],
                    None => Default::default(),
                });
                cells.push(String::new());
                cells
            }
        };
        cells.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(",")
    }
}

const HEAD: &str = "path,class,score,threshold,verdict,regions,x,y,width,height,area,peak,error";

/// Both files, written aside as rows come and put in place whole at the end.
pub(crate) struct RowFiles {
    folder: PathBuf,
    jsonl: BufWriter<tempfile::NamedTempFile>,
    csv: BufWriter<tempfile::NamedTempFile>,
}

impl RowFiles {
    pub(crate) fn begin(folder: &Path) -> Result<Self, ExperimentError> {
        atomic::create_dir(folder)?;
        let aside = || {
            let file = atomic::beside().tempfile_in(folder);
            file.map(BufWriter::new).map_err(|e| ExperimentError::io("write", folder, e))
        };
        let mut files = Self { folder: folder.into(), jsonl: aside()?, csv: aside()? };
        files.line(HEAD.into(), None)?;
        Ok(files)
    }

    pub(crate) fn add(&mut self, row: &Row) -> Result<(), ExperimentError> {
        self.line(row.csv(), Some(serde_json::to_string(row).unwrap_or_default()))
    }

    fn line(&mut self, csv: String, json: Option<String>) -> Result<(), ExperimentError> {
        writeln!(self.csv, "{csv}")
            .and_then(|()| json.map_or(Ok(()), |json| writeln!(self.jsonl, "{json}")))
            .map_err(|e| ExperimentError::io("write", &self.folder, e))
    }

    pub(crate) fn finish(self) -> Result<(), ExperimentError> {
        let folder = self.folder;
        for (file, name) in [(self.jsonl, "predictions.jsonl"), (self.csv, "predictions.csv")] {
            let path = folder.join(name);
            let failed = |e| ExperimentError::io("write", &path, e);
            let file = file.into_inner().map_err(|e| failed(e.into_error()))?;
            file.as_file().sync_all().map_err(failed)?;
            file.persist(&path).map_err(|e| failed(e.error))?;
        }
        Ok(())
    }
}
