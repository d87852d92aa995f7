//! Likelihood under the mixture of the image's own class.

use crate::{Latents, LossError, LossTerm, Needs};
use candle_core::Tensor;

/// `L_intra = (-ln p(z given y) - ln det J) / D`.
pub struct IntraClass;

impl LossTerm for IntraClass {
    fn name(&self) -> &'static str {
        "intra"
    }

    fn needs(&self) -> Needs {
        Needs::IntraClasses
    }

    fn value(&self, latents: &Latents) -> Result<Tensor, LossError> {
        let log = (latents.log_density_of_class()? + latents.log_det())?.mean_all()?;
        Ok((log * (-1.0 / latents.dim()))?)
    }
}
