//! Likelihood and entropy of each position.

use crate::ScoreError;
use candle_core::Tensor;
use hgad_kernels::softmax_entropy;
use hgad_priors::Prior;

/// The two quantities that anomalies show in, one a position.
pub struct ScoreTerms {
    /// `(D G + ln p(z given y) + ln det J) / D`, (B, P): log-likelihood per dimension, in nats.
    pub likelihood: Tensor,
    /// `sum_k softmax_k(l) log_softmax_k(l)`, (B, P): negative entropy, 0 where the class is sure.
    pub neg_entropy: Option<Tensor>,
}

/// Score terms of latents `z` (B, P, D) with `log_det` (B, P) of images of classes `labels` (B).
///
/// # Errors
/// Shapes that do not fit the prior.
pub fn score_terms(
    prior: &dyn Prior,
    z: &Tensor,
    log_det: &Tensor,
    labels: &[u32],
) -> Result<ScoreTerms, ScoreError> {
    let log = (prior.log_density_of_class(z, labels)? + log_det)?;
    let constant = -0.5 * std::f64::consts::TAU.ln();
    let likelihood = log.affine(1.0 / prior.dim() as f64, constant)?;
    let neg_entropy = match prior.class_logits(z)? {
        Some(logits) => Some(softmax_entropy(&logits)?.neg()?),
        None => None,
    };
    Ok(ScoreTerms { likelihood, neg_entropy })
}
