//! The weights of a network as tensors, to be kept in another file and built from again.

use crate::{BackboneError, Normalization, WeightMismatch, WeightSource};
use candle_core::Tensor;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;

/// Every tensor that a network is made of, f32, by timm's names; a [`WeightSource`] like the file
/// that they came from.
#[derive(Clone, Debug, Default)]
pub struct KeptWeights {
    /// The tensors.
    pub tensors: HashMap<String, Tensor>,
    /// Normalization of images, where the source stated one.
    pub normalization: Option<Normalization>,
    /// The file that errors name.
    pub path: PathBuf,
    /// The backbone that errors name.
    pub kind: String,
}

impl WeightSource for KeptWeights {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, BackboneError> {
        match self.tensors.get(name) {
            Some(tensor) if tensor.dims() == shape => Ok(tensor.clone()),
            found => Err(BackboneError::Weight(Box::new(WeightMismatch {
                path: self.path.clone(),
                kind: self.kind.clone(),
                name: name.into(),
                found: found.map(|t| t.dims().to_vec()),
                expected: shape.to_vec(),
                stated: None,
            }))),
        }
    }

    fn normalization(&self) -> Option<Normalization> {
        self.normalization
    }
}

/// Passes tensors on and keeps every one that was asked for.
pub(crate) struct Keeping<'a> {
    source: &'a dyn WeightSource,
    tensors: RefCell<HashMap<String, Tensor>>,
}

impl<'a> Keeping<'a> {
    pub(crate) fn new(source: &'a dyn WeightSource) -> Self {
        Self { source, tensors: RefCell::default() }
    }

    pub(crate) fn finish(self, kind: &str) -> KeptWeights {
        KeptWeights {
            normalization: self.source.normalization(),
            tensors: self.tensors.into_inner(),
            path: PathBuf::new(),
            kind: kind.into(),
        }
    }
}

impl WeightSource for Keeping<'_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, BackboneError> {
        let tensor = self.source.tensor(name, shape)?;
        self.tensors.borrow_mut().insert(name.into(), tensor.clone());
        Ok(tensor)
    }

    fn normalization(&self) -> Option<Normalization> {
        self.source.normalization()
    }
}
