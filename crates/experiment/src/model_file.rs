//! `model.safetensors`: the trained model with its configuration in the metadata.

use crate::config::Config;
use crate::error::ExperimentError;
use crate::model::{LevelShape, Model};
use crate::tensor_file;
use candle_core::Device;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What a model needs to be made again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelHeader {
    /// The resolved configuration.
    pub config: Config,
    /// Sizes of the feature maps.
    pub shapes: Vec<LevelShape>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Hash of the backbone it was trained on.
    pub backbone: String,
    /// Passes over the data it has seen.
    pub passes: usize,
}

/// Writes `model` to `path`.
///
/// # Errors
/// I/O.
pub fn save(path: &Path, model: &Model, header: &ModelHeader) -> Result<(), ExperimentError> {
    let json = serde_json::to_string(header).unwrap_or_default();
    // One key alone: several come in any order, and the same seed must give the same bytes.
    let metadata = [("hgad-model-1".to_string(), json)];
    tensor_file::write(path, &tensor_file::entries(model.state())?, metadata.into())
}

/// The model at `path`, on `device`.
///
/// # Errors
/// A file that is no model of ours.
pub fn load(path: &Path, device: &Device) -> Result<(Model, ModelHeader), ExperimentError> {
    let (tensors, metadata) = tensor_file::read(path)?;
    let wrong = |reason: String| ExperimentError::File { path: path.into(), reason };
    let json = metadata.get("hgad-model-1").ok_or_else(|| {
        wrong("it has no model description; is it a model of this program?".into())
    })?;
    let header: ModelHeader = serde_json::from_str(json).map_err(|e| {
        wrong(format!("its description cannot be read ({e}); was it written by another version?"))
    })?;
    let model = Model::new(&header.config, &header.shapes, &header.classes, device)?;
    model.load(&tensors)?;
    Ok((model, header))
}
