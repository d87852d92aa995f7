//! Experiments: from a name to a trained model, a table and a run folder.
//!
//! [`compose`] makes a [`Config`] of a name and overrides, [`run`] runs it: samples are checked,
//! features computed once into the [`cache`], a flow and a prior trained for each level
//! ([`train`], [`step`]), the test set evaluated ([`evaluate`]), results written to the run folder.
//!
//! Invariants: this crate does not know the terminal, it tells an [`Observer`]; files appear whole
//! or not at all; the same seed gives the same bytes.

pub mod ablation;
pub mod atomic;
pub mod averaging;
pub mod cache;
pub mod calibration;
pub mod checkpoint;
mod color;
pub mod compare;
mod compose;
mod config;
pub mod data;
mod deployed;
mod device;
mod error;
pub mod evaluate;
pub mod exchange;
pub mod features;
pub mod hard_positions;
mod heat_maps;
mod hold_out;
mod image_scores;
pub mod memory;
pub mod metrics_log;
mod model;
pub mod model_file;
mod native_size;
mod optimizer;
mod options;
mod places;
pub mod predict;
mod progress;
mod reference;
pub mod report;
mod resident;
mod results;
mod run;
mod run_folder;
mod run_lock;
pub mod runs;
mod scaling;
mod schedule;
pub mod side_by_side;
mod start;
pub mod step;
mod table;
pub mod tensor_file;
mod tensorboard;
pub mod train;
mod validate;

pub use compose::{ablations, compose, compose_with, experiments};
pub use config::*;
pub use deployed::{Deployed, DeployedClass, Outcome};
pub use device::{open as open_device, try_device};
pub use error::ExperimentError;
pub use model::{LevelModel, LevelShape, Model};
pub use optimizer::{Adam, AdamSettings};
pub use predict::{ClassChoice, Prediction, Predictor, PredictorOptions, Region};
pub use progress::{Event, Observer, PassPlace, Silent, StepRecord};
pub use reference::{reference, schema};
pub use results::{Evaluation, Metrics, Results, SCHEMA, Seconds, Versions};
pub use run::{Resume, RunOptions, recalibrate, reevaluate, rescore, run};
pub use run_folder::RunFolder;
pub use schedule::learning_rate;
pub use table::{deployed_table, table};
pub use validate::validate;
