//! A hash of everything features depend on.

use crate::{BackboneError, WeightSource};
use candle_core::Tensor;
use std::cell::RefCell;

/// Passes tensors on and hashes every one that was asked for, with its name.
pub(crate) struct Hashed<'a> {
    source: &'a dyn WeightSource,
    hasher: RefCell<blake3::Hasher>,
}

impl<'a> Hashed<'a> {
    pub(crate) fn new(source: &'a dyn WeightSource) -> Self {
        Self { source, hasher: RefCell::default() }
    }

    /// The hash of what was read so far and of `architecture`.
    pub(crate) fn finish(&self, architecture: &str) -> String {
        let mut hasher = self.hasher.borrow().clone();
        hasher.update(architecture.as_bytes());
        hasher.finalize().to_hex().to_string()
    }
}

impl WeightSource for Hashed<'_> {
    fn tensor(&self, kind: &str, name: &str, shape: &[usize]) -> Result<Tensor, BackboneError> {
        let tensor = self.source.tensor(kind, name, shape)?;
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        let mut hasher = self.hasher.borrow_mut();
        hasher.update(name.as_bytes());
        hasher.update(bytemuck::cast_slice(&values));
        Ok(tensor)
    }
}
