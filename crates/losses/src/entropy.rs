//! Entropy of the class posterior.

use crate::{Latents, LossError, LossTerm, Needs};
use candle_core::Tensor;
use hgad_kernels::softmax_entropy;

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
        Ok(softmax_entropy(latents.logits(self.name())?)?.mean_all()?)
    }
}
