//! Likelihood under the whole inter-class mixture.

use crate::{Latents, LossError, LossTerm, Needs};
use candle_core::Tensor;

/// `L_g = (-ln p(z) - ln det J) / D` with `p(z) = sum_k p_k N(mu_k, I)`; under a single Gaussian
/// the negative log-likelihood of a plain normalizing flow.
pub struct InterClass;

impl LossTerm for InterClass {
    fn name(&self) -> &'static str {
        "inter"
    }

    fn needs(&self) -> Needs {
        Needs::Density
    }

    fn value(&self, latents: &Latents) -> Result<Tensor, LossError> {
        let log = (latents.log_density()? + latents.log_det())?.mean_all()?;
        Ok((log * (-1.0 / latents.dim()))?)
    }
}
