//! Where the weights of a network come from.

use crate::{BackboneError, Normalization};
use candle_core::{Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors};
use std::path::{Path, PathBuf};

/// Tensors by name.
pub trait WeightSource {
    /// The tensor `name` of that shape, f32 on the CPU; `kind` is the backbone that asks.
    ///
    /// # Errors
    /// It is missing or has another shape.
    fn tensor(&self, kind: &str, name: &str, shape: &[usize]) -> Result<Tensor, BackboneError>;

    /// Normalization of the images they were trained on, where the source says so.
    fn normalization(&self) -> Option<Normalization> {
        None
    }
}

/// A safetensors file with timm's names. Its metadata may hold `mean` and `std`, each one number
/// for all channels or three separated by commas; a number may be a fraction such as `127/255`.
pub struct WeightsFile {
    path: PathBuf,
    bytes: Vec<u8>,
    normalization: Option<Normalization>,
}

impl WeightsFile {
    /// Reads `path`.
    ///
    /// # Errors
    /// I/O; not a whole safetensors file; a mean or std that is no number.
    pub fn open(path: &Path) -> Result<Self, BackboneError> {
        let fail = |reason: String| BackboneError::WeightsFile { path: path.into(), reason };
        let bytes = std::fs::read(path).map_err(|e| fail(e.to_string()))?;
        let broken = |e| fail(format!("it is not a whole safetensors file ({e})"));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(broken)?;
        SafeTensors::deserialize(&bytes).map_err(broken)?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let channels = |key: &str| match metadata.get(key) {
            None => Ok(None),
            Some(text) => parse_channels(text)
                .map(Some)
                .ok_or_else(|| fail(format!("its metadata has {key} = {text}, expected numbers"))),
        };
        let normalization = match (channels("mean")?, channels("std")?) {
            (Some(mean), Some(std)) => Some(Normalization { mean, std }),
            _ => None,
        };
        Ok(Self { path: path.into(), bytes, normalization })
    }
}

fn parse_channels(text: &str) -> Option<[f32; 3]> {
    let number = |t: &str| -> Option<f32> {
        match t.trim().split_once('/') {
            Some((a, b)) => Some(a.trim().parse::<f32>().ok()? / b.trim().parse::<f32>().ok()?),
            None => t.trim().parse().ok(),
        }
    };
    let all: Vec<f32> = text.split(',').map(number).collect::<Option<_>>()?;
    match all[..] {
        [one] => Some([one; 3]),
        [r, g, b] => Some([r, g, b]),
        _ => None,
    }
}

impl WeightSource for WeightsFile {
    fn tensor(&self, kind: &str, name: &str, shape: &[usize]) -> Result<Tensor, BackboneError> {
        let fail = |reason: String| BackboneError::WeightsFile { path: self.path.clone(), reason };
        let file = SafeTensors::deserialize(&self.bytes).map_err(|e| fail(e.to_string()))?;
        let Ok(view) = file.tensor(name) else {
            return Err(BackboneError::MissingWeight {
                path: self.path.clone(),
                kind: kind.into(),
                name: name.into(),
            });
        };
        if view.shape() != shape {
            return Err(BackboneError::WeightShape {
                path: self.path.clone(),
                kind: kind.into(),
                name: name.into(),
                found: view.shape().to_vec(),
                expected: shape.to_vec(),
            });
        }
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => bytemuck::pod_collect_to_vec(view.data()),
            Dtype::F16 => bytemuck::pod_collect_to_vec::<u8, u16>(view.data())
                .into_iter()
                .map(|b| half::f16::from_bits(b).to_f32())
                .collect(),
            Dtype::BF16 => bytemuck::pod_collect_to_vec::<u8, u16>(view.data())
                .into_iter()
                .map(|b| half::bf16::from_bits(b).to_f32())
                .collect(),
            other => return Err(fail(format!("`{name}` has numbers of type {other:?}"))),
        };
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }

    fn normalization(&self) -> Option<Normalization> {
        self.normalization
    }
}
