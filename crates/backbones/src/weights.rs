//! Where the weights of a network come from.

use crate::{BackboneError, Normalization, WeightMismatch};
use candle_core::{DType, Device, Tensor};
use safetensors::tensor::{Metadata, SafeTensors};
use std::path::{Path, PathBuf};

/// Tensors by name.
pub trait WeightSource {
    /// The tensor `name` of that shape, f32 on the CPU.
    ///
    /// # Errors
    /// It is missing or has another shape.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, BackboneError>;

    /// Normalization of the images they were trained on, where the source says so.
    fn normalization(&self) -> Option<Normalization> {
        None
    }
}

/// A safetensors file with timm's names. Its metadata may hold `mean` and `std`, each one number
/// for all channels or three separated by commas; a number may be a fraction such as `127/255`.
pub struct WeightsFile {
    path: PathBuf,
    kind: String,
    bytes: Vec<u8>,
    /// Where the tensors begin.
    start: usize,
    header: Metadata,
    normalization: Option<Normalization>,
}

impl WeightsFile {
    /// Reads `path` for the backbone `kind`, which errors will name.
    ///
    /// # Errors
    /// I/O; not a whole safetensors file; a mean or std that is no number, or only one of them.
    pub fn open(path: &Path, kind: &str) -> Result<Self, BackboneError> {
        let fail = |reason: String| BackboneError::WeightsFile { path: path.into(), reason };
        let bytes = std::fs::read(path)
            .map_err(|e| fail(format!("{e}; backbone.weights names a safetensors file")))?;
        let (length, header) = SafeTensors::read_metadata(&bytes).map_err(|e| {
            fail(format!("it is not a whole safetensors file ({e}); fetch or convert it again"))
        })?;
        let stated = |key: &str| header.metadata().as_ref()?.get(key);
        let channels = |key: &str| match stated(key) {
            None => Ok(None),
            Some(text) => parse_channels(text).map(Some).ok_or_else(|| {
                fail(format!("its metadata has {key} = {text}, expected one number or three"))
            }),
        };
        let normalization = match (channels("mean")?, channels("std")?) {
            (Some(mean), Some(std)) if std.iter().all(|s| *s > 0.0) => {
                Some(Normalization { mean, std })
            }
            (None, None) => None,
            (mean, std) => {
                return Err(fail(format!(
                    "its metadata has mean {mean:?} and std {std:?}, expected both or none, and a positive std"
                )));
            }
        };
        Ok(Self {
            path: path.into(),
            kind: kind.into(),
            start: size_of::<u64>() + length,
            bytes,
            header,
            normalization,
        })
    }

    /// The architecture in the metadata, where it is another one.
    fn stated(&self) -> Option<String> {
        let stated = self.header.metadata().as_ref()?.get("architecture")?;
        Some(stated.clone()).filter(|s| *s != self.kind)
    }
}

fn parse_channels(text: &str) -> Option<[f32; 3]> {
    let number = |t: &str| -> Option<f32> {
        let value = match t.trim().split_once('/') {
            Some((a, b)) => a.trim().parse::<f32>().ok()? / b.trim().parse::<f32>().ok()?,
            None => t.trim().parse().ok()?,
        };
        Some(value).filter(|v| v.is_finite())
    };
    let all: Vec<f32> = text.split(',').map(number).collect::<Option<_>>()?;
    match all[..] {
        [one] => Some([one; 3]),
        [r, g, b] => Some([r, g, b]),
        _ => None,
    }
}

impl WeightSource for WeightsFile {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, BackboneError> {
        let info = self.header.info(name).filter(|info| info.shape == shape);
        let Some(info) = info else {
            return Err(BackboneError::Weight(Box::new(WeightMismatch {
                path: self.path.clone(),
                kind: self.kind.clone(),
                name: name.into(),
                found: self.header.info(name).map(|info| info.shape.clone()),
                expected: shape.to_vec(),
                stated: self.stated(),
            })));
        };
        let fail = |e| BackboneError::WeightsFile {
            path: self.path.clone(),
            reason: format!("`{name}` has numbers of type {:?} ({e})", info.dtype),
        };
        // The header was checked against the file's length when it was opened.
        let (from, to) = info.data_offsets;
        let data = &self.bytes[self.start + from..self.start + to];
        let dtype = DType::try_from(info.dtype).map_err(fail)?;
        let tensor = Tensor::from_raw_buffer(data, dtype, shape, &Device::Cpu).map_err(fail)?;
        tensor.to_dtype(DType::F32).map_err(fail)
    }

    fn normalization(&self) -> Option<Normalization> {
        self.normalization
    }
}

#[cfg(test)]
mod tests {
    use super::parse_channels;

    #[test]
    fn metadata_numbers() {
        assert_eq!(parse_channels("127/255"), Some([127.0 / 255.0; 3]));
        assert_eq!(parse_channels("0.1, 0.2,0.3"), Some([0.1, 0.2, 0.3]));
        for bad in ["", "1,2", "a", "1/0", "nan"] {
            assert_eq!(parse_channels(bad), None, "{bad}");
        }
    }
}
