//! Why a case has no figure.

use std::path::PathBuf;

/// An error that names the part, case or file at fault.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No part of that name.
    #[error("unknown part `{name}`: the parts are {known}, or all of them: all")]
    UnknownPart {
        /// As given.
        name: String,
        /// What exists.
        known: String,
    },
    /// No case whose name holds that text.
    #[error("no case of `{part}` has `{text}` in its name; there are {known}")]
    NoCase {
        /// Part.
        part: String,
        /// As given.
        text: String,
        /// Names of the part's cases.
        known: String,
    },
    /// A part that is computed on the CPU alone, asked for elsewhere.
    #[error("`{part}` is timed on the CPU alone; what is timed on another device is `step`")]
    Device {
        /// The part, or all.
        part: String,
    },
    /// A folder without images of the kind a case decodes.
    #[error("{}: no {kind} image in this folder; it is what --images names", folder.display())]
    NoImages {
        /// The folder.
        folder: PathBuf,
        /// `jpeg`, `png`, or both.
        kind: &'static str,
    },
    /// Reading or writing an image failed.
    #[error("cannot {action} {}: {reason}", path.display())]
    Image {
        /// `read`, `write`, ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// From what is measured.
    #[error(transparent)]
    Experiment(#[from] hgad_experiment::ExperimentError),
    /// From a metric.
    #[error(transparent)]
    Metric(#[from] hgad_metrics::MetricError),
}

impl BenchError {
    /// Whether the user can mend it by asking differently, as against a failure.
    pub fn is_users(&self) -> bool {
        match self {
            Self::UnknownPart { .. }
            | Self::NoCase { .. }
            | Self::Device { .. }
            | Self::NoImages { .. } => true,
            Self::Experiment(e) => e.is_users(),
            Self::Image { .. } | Self::Metric(_) => false,
        }
    }
}

/// Errors of the crates below pass through the experiment's.
macro_rules! through_experiment {
    ($($from:ty),*) => {
        $(impl From<$from> for BenchError {
            fn from(e: $from) -> Self {
                Self::Experiment(e.into())
            }
        })*
    };
}
through_experiment!(
    candle_core::Error,
    hgad_backbones::BackboneError,
    hgad_datasets::DatasetError,
    hgad_losses::LossError,
    hgad_scores::ScoreError
);
