//! One standard Gaussian for everything: the many-to-one baseline.

use crate::prior::check;
use crate::{Prior, PriorError};
use candle_core::{D, Tensor};

/// N(0, I). It has no parameters and no classes.
pub struct SingleGaussian {
    dim: usize,
}

impl SingleGaussian {
    /// In `dim` dimensions.
    pub fn new(dim: usize) -> Self {
        Self { dim }
    }
}

impl Prior for SingleGaussian {
    fn dim(&self) -> usize {
        self.dim
    }

    fn class_logits(&self, _: &Tensor) -> Result<Option<Tensor>, PriorError> {
        Ok(None)
    }

    fn log_class_weights(&self) -> Result<Option<Tensor>, PriorError> {
        Ok(None)
    }

    fn log_density(&self, z: &Tensor, _: Option<&Tensor>) -> Result<Tensor, PriorError> {
        check(z, self.dim, None)?;
        Ok((z.sqr()?.sum(D::Minus1)? * -0.5)?)
    }

    fn log_density_of_class(&self, z: &Tensor, labels: &[u32]) -> Result<Tensor, PriorError> {
        check(z, self.dim, Some((labels, usize::MAX)))?;
        self.log_density(z, None)
    }
}
