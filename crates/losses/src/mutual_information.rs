//! Mutual information between latents and classes.

use crate::{Latents, LossError, LossTerm, Needs};
use candle_core::{D, Tensor};
use hgad_priors::log_softmax;

/// `L_mi = sum_k t_k (log_softmax_k(l + ln p) - ln p_k)`, `p` taken as a constant, `t` the one-hot
/// class smoothed: `t = onehot (1 - smoothing) + smoothing / C`. To be maximized.
pub struct MutualInformation {
    /// Share of the target spread over all classes.
    pub smoothing: f64,
}

impl LossTerm for MutualInformation {
    fn name(&self) -> &'static str {
        "mutual_information"
    }

    fn needs(&self) -> Needs {
        Needs::Classes
    }

    fn value(&self, latents: &Latents) -> Result<Tensor, LossError> {
        let logits = latents.logits(self.name())?;
        let weights = latents.log_class_weights(self.name())?.detach();
        let (b, _, c) = logits.dims3()?;
        let mut target = vec![self.smoothing / c as f64; b * c];
        for (i, label) in latents.labels().iter().enumerate() {
            target[i * c + *label as usize] += 1.0 - self.smoothing;
        }
        let target = Tensor::from_vec(target, (b, 1, c), logits.device())?;
        let target = target.to_dtype(logits.dtype())?;
        let gain = log_softmax(&logits.broadcast_add(&weights)?)?.broadcast_sub(&weights)?;
        Ok(gain.broadcast_mul(&target)?.sum(D::Minus1)?.mean_all()?)
    }
}
