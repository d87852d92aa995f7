//! Mutual information between latents and classes.

use crate::{Latents, LossError, LossTerm, Needs};
use candle_core::{D, Device, Tensor};
use hgad_kernels::cross_entropy;

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

    fn is_maximized(&self) -> bool {
        true
    }

    fn value(&self, latents: &Latents) -> Result<Tensor, LossError> {
        let logits = latents.logits(self.name())?;
        let weights = latents.log_class_weights(self.name())?.detach();
        let (b, _, c) = logits.dims3()?;
        let mut target = vec![self.smoothing / c as f64; b * c];
        for (i, label) in latents.labels().iter().enumerate() {
            target[i * c + *label as usize] += 1.0 - self.smoothing;
        }
        let target = Tensor::from_vec(target, (b, c), &Device::Cpu)?;
        let target = target.to_dtype(logits.dtype())?.to_device(logits.device())?;
        // -sum_k t_k ln p_k is the same for all vectors of an image.
        let away = target.broadcast_mul(&weights)?.sum(D::Minus1)?.mean_all()?;
        Ok((cross_entropy(logits, &weights, &target)?.mean_all()? + away)?.neg()?)
    }
}
