//! No flow at all: the latents are the features.

use crate::check::rows;
use crate::{Bijection, FlowError};
use candle_core::Tensor;

/// The identity, whose log-determinant is 0 and which looks at no condition: a prior on features themselves, such as a memory of them.
pub struct Identity {
    dim: usize,
}

impl Identity {
    /// On vectors of `dim` entries.
    pub fn new(dim: usize) -> Self {
        Self { dim }
    }

    fn both(&self, x: &Tensor) -> Result<(Tensor, Tensor), FlowError> {
        Ok((x.clone(), Tensor::zeros(rows(x, self.dim)?, x.dtype(), x.device())?))
    }
}

impl Bijection for Identity {
    fn dim(&self) -> usize {
        self.dim
    }

    fn condition_dim(&self) -> usize {
        0
    }

    fn forward(&self, x: &Tensor, _: Option<&Tensor>) -> Result<(Tensor, Tensor), FlowError> {
        self.both(x)
    }

    fn inverse(&self, z: &Tensor, _: Option<&Tensor>) -> Result<(Tensor, Tensor), FlowError> {
        self.both(z)
    }
}
