//! Entropy of the class posterior.

use crate::{Latents, LossError, LossTerm, Needs};
use candle_core::{D, Tensor};
use hgad_priors::log_softmax;

/// `L_e = -sum_k softmax_k(l) log_softmax_k(l)`: low where a vector is surely of one class.
pub struct Entropy;

impl LossTerm for Entropy {
    fn name(&self) -> &'static str {
        "entropy"
    }

    fn needs(&self) -> Needs {
        Needs::Classes
    }

    fn value(&self, latents: &Latents) -> Result<Tensor, LossError> {
        let log = log_softmax(latents.logits(self.name())?)?;
        Ok((log.exp()? * log)?.sum(D::Minus1)?.mean_all()?.neg()?)
    }
}
