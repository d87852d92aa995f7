//! `model.safetensors`: the trained model, all that predicting needs: configuration and calibration
//! in the metadata, flows, priors and the backbone's weights as tensors.

use crate::calibration::Calibration;
use crate::config::Config;
use crate::error::ExperimentError;
use crate::features::backbone_spec;
use crate::model::{LevelShape, Model};
use crate::tensor_file;
use candle_core::{Device, Tensor};
use hgad_backbones::{Backbone, KeptWeights, Normalization, build, build_with, keep_weights};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Before the name of every tensor of the backbone.
const BACKBONE: &str = "backbone.";

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
    /// Constants and thresholds of deployed scores; files of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// Mean and standard deviation of a colour channel that the backbone's weights came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalization: Option<([f32; 3], [f32; 3])>,
}

/// Writes `model` to `path`, with the backbone's weights where they are given.
///
/// # Errors
/// I/O.
pub fn save(
    path: &Path,
    model: &Model,
    header: &ModelHeader,
    backbone: Option<&KeptWeights>,
) -> Result<(), ExperimentError> {
    let normalization = backbone.and_then(|b| b.normalization).map(|n| (n.mean, n.std));
    let json = serde_json::to_string(&ModelHeader { normalization, ..header.clone() });
    // One key alone: several come in any order, and the same seed must give the same bytes.
    let metadata = [("hgad-model-1".to_string(), json.unwrap_or_default())];
    let mut tensors = model.state();
    if let Some(kept) = backbone {
        let named = kept.tensors.iter().map(|(n, t)| (format!("{BACKBONE}{n}"), t.clone()));
        let mut named: Vec<_> = named.collect();
        named.sort_by(|a, b| a.0.cmp(&b.0));
        tensors.extend(named);
    }
    tensor_file::write(path, &tensor_file::entries(tensors)?, metadata.into())
}

/// The weights of the backbone of `config`, to be kept in the model's file; `None` where the
/// configuration leaves them out or the backbone has none of its own.
///
/// # Errors
/// They are gone, or others than the features in the cache were made with (`fingerprint`).
pub fn backbone_weights(
    config: &Config,
    fingerprint: &str,
) -> Result<Option<KeptWeights>, ExperimentError> {
    if !config.run.backbone_weights {
        return Ok(None);
    }
    match keep_weights(&backbone_spec(config))? {
        None => Ok(None),
        Some((kept, found)) if found == fingerprint => Ok(Some(kept)),
        Some(_) => Err(ExperimentError::Setting {
            key: "backbone.weights",
            value: config.backbone.weights.display().to_string(),
            reason: "the file was changed since the features were made".into(),
        }),
    }
}

/// What a model's file holds.
pub struct ModelFile {
    path: PathBuf,
    /// The description.
    pub header: ModelHeader,
    tensors: HashMap<String, Tensor>,
}

impl ModelFile {
    /// Reads `path`.
    ///
    /// # Errors
    /// A file that is no model of ours.
    pub fn read(path: &Path) -> Result<Self, ExperimentError> {
        let (tensors, metadata) = tensor_file::read(path)?;
        let wrong = |reason: String| ExperimentError::File { path: path.into(), reason };
        let json = metadata.get("hgad-model-1").ok_or_else(|| {
            wrong("it has no model description; is it a model of this program?".into())
        })?;
        let header: ModelHeader = serde_json::from_str(json).map_err(|e| {
            wrong(format!(
                "its description cannot be read ({e}); was it written by another version?"
            ))
        })?;
        Ok(Self { path: path.into(), header, tensors })
    }

    /// Flows and priors, on `device`.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn model(&self, device: &Device) -> Result<Model, ExperimentError> {
        let h = &self.header;
        let model = Model::new(&h.config, &h.shapes, &h.classes, device)?;
        model.load(&self.tensors)?;
        Ok(model)
    }

    /// The backbone's weights, taken out; `None` where it holds none.
    pub fn take_backbone_weights(&mut self) -> Option<KeptWeights> {
        let names: Vec<String> =
            self.tensors.keys().filter(|n| n.starts_with(BACKBONE)).cloned().collect();
        let normalization = self.header.normalization;
        let tensors: HashMap<String, Tensor> = names
            .into_iter()
            .filter_map(|n| Some((n[BACKBONE.len()..].to_string(), self.tensors.remove(&n)?)))
            .collect();
        (!tensors.is_empty()).then(|| KeptWeights {
            tensors,
            normalization: normalization.map(|(mean, std)| Normalization { mean, std }),
            path: self.path.clone(),
            kind: self.header.config.backbone.kind.clone(),
        })
    }

    /// The backbone: of the file `weights` where it is given, of the model's own tensors, or as the
    /// configuration has it where the backbone has no weights of this program's.
    ///
    /// # Errors
    /// No weights where there must be some; others than the model was trained on.
    pub fn backbone(
        &mut self,
        weights: Option<&Path>,
    ) -> Result<Box<dyn Backbone>, ExperimentError> {
        let own = self.take_backbone_weights().filter(|_| weights.is_none());
        let wrong = |reason: String| ExperimentError::File { path: self.path.clone(), reason };
        let backbone = if let Some(kept) = own {
            build_with(&backbone_spec(&self.header.config), &kept)?
        } else {
            let mut spec = backbone_spec(&self.header.config);
            // Weights are asked for, not downloaded: predicting must not depend on a network.
            spec.download = false;
            if let Some(path) = weights {
                spec.weights = Some(path.into());
            }
            build(&spec).map_err(|e| match weights {
                None => wrong(format!(
                    "it was written without the backbone's weights, and these cannot be had ({e}); give their file with --weights"
                )),
                Some(_) => e.into(),
            })?
        };
        if backbone.fingerprint() != self.header.backbone {
            let source = match weights {
                Some(path) => format!("{} holds", path.display()),
                None => "the backbone here has".into(),
            };
            return Err(wrong(format!(
                "the model was trained on {} with other weights than {source}; give the file it was trained on with --weights",
                self.header.config.backbone.kind
            )));
        }
        Ok(backbone)
    }
}

/// The model at `path`, on `device`.
///
/// # Errors
/// A file that is no model of ours.
pub fn load(path: &Path, device: &Device) -> Result<(Model, ModelHeader), ExperimentError> {
    let file = ModelFile::read(path)?;
    Ok((file.model(device)?, file.header))
}
