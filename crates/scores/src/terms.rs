//! Likelihood, entropy and nearness of each position.

use crate::ScoreError;
use candle_core::Tensor;
use hgad_kernels::softmax_entropy;
use hgad_priors::Prior;

/// The quantities that anomalies show in, one a position.
pub struct ScoreTerms {
    /// `(D G + ln p(z given y) + ln det J) / D`, (B, P): log-likelihood per dimension, in nats.
    pub likelihood: Tensor,
    /// `sum_k softmax_k(l) log_softmax_k(l)`, (B, P): negative entropy, 0 where the class is sure; `None` where
    /// it was not asked for, or under a prior without classes.
    pub neg_entropy: Option<Tensor>,
    /// `-½ min_i |z - m_i|² / D`, (B, P): how near the nearest remembered latent of the class is; `None` under
    /// a prior that remembers none.
    pub nearness: Option<Tensor>,
}

/// Which score terms are wanted, and of what images.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wanted {
    /// The entropy, which asks all classes.
    pub entropy: bool,
    /// The images are among those that the prior remembers latents of: nearness is to those of the others, as a
    /// new image has it ([`Prior::nearness_of_remembered`]).
    pub remembered: bool,
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
    wanted: Wanted,
) -> Result<ScoreTerms, ScoreError> {
    let log = (prior.log_density_of_class(z, labels)? + log_det)?;
    let constant = -0.5 * std::f64::consts::TAU.ln();
    let likelihood = log.affine(1.0 / prior.dim() as f64, constant)?;
    let logits = if wanted.entropy { prior.class_logits(z)? } else { None };
    let neg_entropy = logits.map(|l| softmax_entropy(&l)?.neg()).transpose()?;
    let per_dimension = 1.0 / prior.dim() as f64;
    let nearness = match wanted.remembered {
        true => prior.nearness_of_remembered(z, labels)?,
        false => prior.nearness_of_class(z, labels)?,
    };
    let nearness = nearness.map(|n| n * per_dimension).transpose()?;
    Ok(ScoreTerms { likelihood, neg_entropy, nearness })
}

/// How much the vectors of each image speak for each class, (B, C): the sum over positions of
/// `ln p(z given k)` in nats, from latents `z` (B, P, D) of one level. Summed over levels and with
/// `ln p_k` added it is the logarithm of the class posterior of the image, up to a constant,
/// positions and levels taken as independent. The log-determinant is the same for all classes and
/// left out.
///
/// # Errors
/// Shapes that do not fit the prior; a prior without classes.
pub fn class_evidence(prior: &dyn Prior, z: &Tensor) -> Result<Tensor, ScoreError> {
    let classes = match prior.log_class_weights()? {
        Some(weights) => weights.dim(0)? as u32,
        None => return Err(ScoreError::NoClasses),
    };
    let images = z.dim(0)?;
    // The class's own density, as the scores use it, centre by centre.
    let of = |k: u32| prior.log_density_of_class(z, &vec![k; images])?.sum(1).map_err(Into::into);
    let all = (0..classes).map(of).collect::<Result<Vec<_>, ScoreError>>()?;
    Ok(Tensor::stack(&all, 1)?)
}
