//! A trained model at work: images in, verdicts, maps and regions out.
//!
//! [`Predictor`] is loaded from `model.safetensors` alone and shared between threads; [`predict_files`]
//! has it look at the files that [`find_images`] finds.

mod batch;
mod job;
mod paths;
mod pictures;
mod prediction;
mod predictor;
mod rows;

pub(crate) use batch::{Batch, Scored, combine_evidence, positions};
pub use job::{ClassSource, JobOptions, JobReport, predict_files};
pub use paths::find_images;
pub use pictures::MapFormat;
pub use prediction::{Prediction, Region};
pub use predictor::{ClassChoice, Predictor, PredictorOptions, Prepared};
pub(crate) use predictor::{best_class, scaled};
pub use rows::{Looked, Row};
