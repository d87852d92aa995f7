//! A hash of everything features depend on.

use crate::{BackboneError, Normalization, WeightSource};
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

    /// The hash of what was read so far and of what it was read for. The number is the version of
    /// the forward pass: raise it when its results change.
    pub(crate) fn finish(&self, kind: &str, taps: &[usize], n: &Normalization) -> String {
        let mut hasher = self.hasher.borrow().clone();
        hasher.update(format!("{kind} 1 {taps:?} {n:?}").as_bytes());
        hasher.finalize().to_hex().to_string()
    }
}

impl WeightSource for Hashed<'_> {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, BackboneError> {
        let tensor = self.source.tensor(name, shape)?;
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        let mut hasher = self.hasher.borrow_mut();
        hasher.update(name.as_bytes());
        hasher.update(bytemuck::cast_slice(&values));
        Ok(tensor)
    }
}
