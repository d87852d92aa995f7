//! Safetensors files with metadata, written whole or not at all.

use crate::atomic;
use crate::error::ExperimentError;
use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::HashMap;
use std::path::Path;

/// Named numbers to write: shape and values.
pub type Entry = (String, Vec<usize>, Vec<f32>);

/// What a file holds: tensors by name, and metadata.
pub type Contents = (HashMap<String, Tensor>, HashMap<String, String>);

/// The host's copy of named tensors, to write.
///
/// # Errors
/// From candle.
pub fn entries(tensors: Vec<(String, Tensor)>) -> Result<Vec<Entry>, ExperimentError> {
    tensors
        .into_iter()
        .map(|(name, t)| {
            let host = t.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
            Ok((name, t.dims().to_vec(), host.flatten_all()?.to_vec1()?))
        })
        .collect()
}

/// Writes `entries` and `metadata` to `path`.
///
/// # Errors
/// I/O.
pub fn write(
    path: &Path,
    entries: &[Entry],
    metadata: HashMap<String, String>,
) -> Result<(), ExperimentError> {
    let failed = |e: safetensors::SafeTensorError| ExperimentError::File {
        path: path.into(),
        reason: e.to_string(),
    };
    let views = entries
        .iter()
        .map(|(name, shape, values)| {
            let bytes = bytemuck::cast_slice(values);
            Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).map_err(failed)?))
        })
        .collect::<Result<Vec<_>, ExperimentError>>()?;
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(failed)?;
    atomic::write_bytes(path, &bytes)
}

/// Reads every tensor and the metadata of `path`.
///
/// # Errors
/// I/O; a file that is not a whole safetensors file.
pub fn read(path: &Path) -> Result<Contents, ExperimentError> {
    let bytes = std::fs::read(path).map_err(|e| ExperimentError::io("read", path, e))?;
    let failed = |e: safetensors::SafeTensorError| ExperimentError::File {
        path: path.into(),
        reason: format!("it is not a whole safetensors file ({e})"),
    };
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(failed)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let file = SafeTensors::deserialize(&bytes).map_err(failed)?;
    let mut tensors = HashMap::new();
    for (name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            let reason = format!("tensor `{name}` is {:?}, expected F32", view.dtype());
            return Err(ExperimentError::File { path: path.into(), reason });
        }
        let values: Vec<f32> = bytemuck::pod_collect_to_vec(view.data());
        tensors.insert(name, Tensor::from_vec(values, view.shape(), &Device::Cpu)?);
    }
    Ok((tensors, metadata))
}
