//! A trained model at work: images in, verdicts, maps and regions out.
//!
//! [`Predictor`] is loaded from `model.safetensors` alone and shared between threads.

mod batch;
mod prediction;
mod predictor;

pub(crate) use batch::{Batch, Scored, combine_evidence};
pub use prediction::{Prediction, Region};
pub use predictor::{ClassChoice, Predictor, PredictorOptions, Prepared};
pub(crate) use predictor::{best_class, scaled};
