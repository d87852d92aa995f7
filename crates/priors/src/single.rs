//! One Gaussian for everything: the many-to-one baseline.

use crate::prior::check;
use crate::{Covariance, Prior, PriorError, Spread};
use candle_core::{D, DType, Device, Tensor};
use hgad_parameters::{Parameters, Weight};

/// N(0, S). It has no classes.
pub struct SingleGaussian {
    dim: usize,
    /// Centre 0 and its covariance, where that is learned.
    learned: Option<(Weight, Covariance)>,
}

impl SingleGaussian {
    /// In `dim` dimensions. No parameters, or for a diagonal covariance `log_std` (1, D), started
    /// at 0.
    ///
    /// # Errors
    /// A name is taken.
    pub fn new(parameters: &Parameters, dim: usize, spread: Spread) -> Result<Self, PriorError> {
        let learned = match spread {
            Spread::Identity => None,
            Spread::Whitened => {
                let why = "it is for priors with classes, mixture and hierarchical; use diagonal";
                return Err(PriorError::Setting {
                    key: "covariance",
                    value: "whitened".into(),
                    why,
                });
            }
            Spread::Diagonal => Some((
                parameters.fixed("mu", (1, dim), vec![0.0; dim])?,
                Covariance::new(parameters, "log_std", (1, dim), spread)?,
            )),
        };
        Ok(Self { dim, learned })
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
        match &self.learned {
            None => Ok((z.sqr()?.sum(D::Minus1)? * -0.5)?),
            Some((mu, covariance)) => Ok(covariance.logits(z, &mu.get())?.squeeze(D::Minus1)?),
        }
    }

    fn log_density_of_class(&self, z: &Tensor, labels: &[u32]) -> Result<Tensor, PriorError> {
        check(z, self.dim, Some((labels, usize::MAX)))?;
        self.log_density(z, None)
    }

    /// The origin.
    fn main_centers(&self) -> Result<Option<Tensor>, PriorError> {
        Ok(Some(Tensor::zeros((1, self.dim), DType::F32, &Device::Cpu)?))
    }
}
