//! Likelihood of the image's own class through a logistic link.

use crate::{Latents, LossError, LossTerm, Needs};
use candle_core::Tensor;
use hgad_kernels::neg_log_sigmoid;

/// `L_z = -logsigmoid((D G + ln p(z given y) + ln det J) / D)`, `G = -½ ln 2π`.
pub struct Likelihood;

impl LossTerm for Likelihood {
    fn name(&self) -> &'static str {
        "likelihood"
    }

    fn needs(&self) -> Needs {
        Needs::IntraClasses
    }

    fn value(&self, latents: &Latents) -> Result<Tensor, LossError> {
        let log = (latents.log_density_of_class()? + latents.log_det())?;
        let constant = -0.5 * std::f64::consts::TAU.ln();
        let x = log.affine(1.0 / latents.dim(), constant)?;
        Ok(neg_log_sigmoid(&x)?.mean_all()?)
    }
}
