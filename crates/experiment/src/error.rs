//! What can go wrong in an experiment, and whose mistake it is.

use std::path::{Path, PathBuf};

/// An error that names the file, key or number at fault and the way out.
#[derive(Debug, thiserror::Error)]
pub enum ExperimentError {
    /// A configuration that is no valid TOML, or has unknown keys or values of another type.
    #[error("configuration of {origin}: {reason}")]
    Config {
        /// Experiment or file.
        origin: String,
        /// What the parser says.
        reason: String,
    },
    /// An override that cannot be applied.
    #[error("--set {text}: {reason}; write it like --set prior.centers=5")]
    Override {
        /// As given.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// A setting out of its range.
    #[error("{key} is {value}: {reason}")]
    Setting {
        /// Section and key.
        key: &'static str,
        /// Value given.
        value: String,
        /// What is expected.
        reason: String,
    },
    /// No experiment or piece of that name.
    #[error("unknown {what} `{name}`: there is no {}, and the shipped ones are {known}", looked.display())]
    UnknownName {
        /// Experiment or piece.
        what: &'static str,
        /// As given.
        name: String,
        /// File looked for.
        looked: PathBuf,
        /// What exists.
        known: String,
    },
    /// A run that is not there, or not in the state asked for.
    #[error("{}: {reason}", path.display())]
    Run {
        /// Run folder.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A file that is not what it should be.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The disk is full.
    #[error("no space left on the disk of {}: {needed}; free some, or choose another folder with {key}", path.display())]
    DiskFull {
        /// What was being written.
        path: PathBuf,
        /// How much is needed, in words.
        needed: String,
        /// Key of the folder.
        key: &'static str,
    },
    /// Reading or writing failed otherwise.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// `read`, `write`, ...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Images that cannot be read, found before training.
    #[error("{count} image(s) cannot be read, the first {}:\n{list}\nmend or remove them, or go on without them with --set data.skip_unreadable=true", count.min(&10))]
    Unreadable {
        /// How many.
        count: usize,
        /// One a line.
        list: String,
    },
    /// Too few images for one batch.
    #[error(
        "{images} training images make no batch of {batch}; set train.batch to at most {images}"
    )]
    TooFew {
        /// Training images.
        images: usize,
        /// Batch.
        batch: usize,
    },
    /// The loss is not a number.
    #[error(
        "the loss became {value} in epoch {epoch}, pass {pass}, step {step} (level {level}); the checkpoint before it is kept. Features that are not finite or too high a rate do this: try --set train.rate={half_rate:e}"
    )]
    Diverged {
        /// NaN or infinity.
        value: f32,
        /// From 1.
        epoch: usize,
        /// From 1.
        pass: usize,
        /// From 1.
        step: usize,
        /// Feature level from 0.
        level: usize,
        /// Half the configured rate.
        half_rate: f64,
    },
    /// Features that are not finite.
    #[error("features of {id} are not finite; its pixels or the backbone's weights are at fault")]
    Features {
        /// The image.
        id: String,
    },
    /// From the data set.
    #[error(transparent)]
    Dataset(#[from] hgad_datasets::DatasetError),
    /// From the backbone.
    #[error(transparent)]
    Backbone(#[from] hgad_backbones::BackboneError),
    /// From the flow.
    #[error(transparent)]
    Flow(#[from] hgad_flows::FlowError),
    /// From the prior.
    #[error(transparent)]
    Prior(#[from] hgad_priors::PriorError),
    /// From the loss.
    #[error(transparent)]
    Loss(#[from] hgad_losses::LossError),
    /// From the scores.
    #[error(transparent)]
    Score(#[from] hgad_scores::ScoreError),
    /// From the parameters.
    #[error(transparent)]
    Parameter(#[from] hgad_parameters::ParameterError),
    /// From the metrics.
    #[error(transparent)]
    Metric(#[from] hgad_metrics::MetricError),
    /// From candle.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

impl ExperimentError {
    /// An I/O error at `path`; a full disk is told apart.
    pub fn io(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        if source.kind() == std::io::ErrorKind::StorageFull {
            let needed = "the write failed half way and was undone".to_string();
            return Self::DiskFull { path: path.into(), needed, key: "run.dir or cache.dir" };
        }
        Self::Io { action, path: path.into(), source }
    }

    /// Whether the user can mend it by asking differently (exit code 2), as against a failure (1).
    pub fn is_users(&self) -> bool {
        !matches!(
            self,
            Self::Diverged { .. }
                | Self::Features { .. }
                | Self::Io { .. }
                | Self::DiskFull { .. }
                | Self::Tensor(_)
        )
    }
}
