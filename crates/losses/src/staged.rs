//! The weighted sum of terms, and from when each counts.

use crate::{
    Entropy, InterClass, IntraClass, Latents, Likelihood, LossError, LossTerm, MutualInformation,
    Needs,
};
use candle_core::Tensor;
use hgad_priors::Prior;

/// Weights of HGAD's terms; a weight of 0 leaves a term out.
#[derive(Clone, Debug, PartialEq)]
pub struct LossConfig {
    /// λ1, of the inter-class mixture.
    pub inter: f64,
    /// λ2, of the mutual information, which is maximized.
    pub mutual_information: f64,
    /// Of the entropy.
    pub entropy: f64,
    /// Of the intra-class mixture.
    pub intra: f64,
    /// Of the likelihood.
    pub likelihood: f64,
    /// Label smoothing of the mutual information.
    pub smoothing: f64,
    /// Epoch (from 0) from which the intra-class terms count.
    pub second_stage: usize,
}

impl Default for LossConfig {
    /// The paper's: λ1 = 1, λ2 = 100, smoothing 0.02, second stage from the third epoch.
    fn default() -> Self {
        Self {
            inter: 1.0,
            mutual_information: 100.0,
            entropy: 1.0,
            intra: 1.0,
            likelihood: 1.0,
            smoothing: 0.02,
            second_stage: 2,
        }
    }
}

struct Weighted {
    term: Box<dyn LossTerm>,
    weight: f64,
    from_epoch: usize,
}

/// A sum of terms that grows with the epochs.
pub struct StagedLoss(Vec<Weighted>);

/// A loss and its parts.
pub struct Value {
    /// The weighted sum, a scalar with gradients.
    pub total: Tensor,
    /// Each term that counted, before its weight.
    pub terms: Vec<(&'static str, Tensor)>,
}

impl StagedLoss {
    /// No terms yet.
    pub fn empty() -> Self {
        Self(Vec::new())
    }

    /// HGAD's loss under `prior`: stage 1 `λ1 L_g - λ2 L_mi + L_e`, stage 2 that plus
    /// `L_intra + L_z`. Terms that need what the prior has not are left out.
    ///
    /// # Errors
    /// A weight that is not finite; no term left.
    pub fn hgad(config: &LossConfig, prior: &dyn Prior) -> Result<Self, LossError> {
        if !(0.0..=1.0).contains(&config.smoothing) {
            let why = "expected a share between 0 and 1";
            return Err(LossError::Setting { key: "smoothing", value: config.smoothing, why });
        }
        let smoothing = config.smoothing;
        let terms: [(Box<dyn LossTerm>, f64, usize); 5] = [
            (Box::new(InterClass), config.inter, 0),
            (Box::new(MutualInformation { smoothing }), -config.mutual_information, 0),
            (Box::new(Entropy), config.entropy, 0),
            (Box::new(IntraClass), config.intra, config.second_stage),
            (Box::new(Likelihood), config.likelihood, config.second_stage),
        ];
        let has_classes = prior.log_class_weights()?.is_some();
        let mut loss = Self::empty();
        for (term, weight, from_epoch) in terms {
            let served = match term.needs() {
                Needs::Density => true,
                Needs::Classes => has_classes,
                Needs::IntraClasses => prior.has_intra_classes(),
            };
            if served && weight != 0.0 {
                loss.add(term, weight, from_epoch)?;
            }
        }
        if !loss.0.iter().any(|t| t.from_epoch == 0) {
            let why = "at least one term that this prior serves must count from the first epoch";
            return Err(LossError::Setting { key: "inter", value: config.inter, why });
        }
        Ok(loss)
    }

    /// Adds `weight` times `term` from epoch `from_epoch` (from 0) on.
    ///
    /// # Errors
    /// A weight that is not finite.
    pub fn add(
        &mut self,
        term: Box<dyn LossTerm>,
        weight: f64,
        from_epoch: usize,
    ) -> Result<(), LossError> {
        if !weight.is_finite() {
            let why = "expected a finite number";
            return Err(LossError::Setting { key: term.name(), value: weight, why });
        }
        self.0.push(Weighted { term, weight, from_epoch });
        Ok(())
    }

    /// Names of the terms that count in `epoch`, in order.
    pub fn active(&self, epoch: usize) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter(move |t| t.from_epoch <= epoch).map(|t| t.term.name())
    }

    /// The loss of `latents` in `epoch` (from 0).
    ///
    /// # Errors
    /// A prior without what a term needs; no term counts.
    pub fn value(&self, latents: &Latents, epoch: usize) -> Result<Value, LossError> {
        let mut total: Option<Tensor> = None;
        let mut terms = Vec::new();
        for t in self.0.iter().filter(|t| t.from_epoch <= epoch) {
            let value = t.term.value(latents)?;
            let weighted = (&value * t.weight)?;
            total = Some(match total {
                None => weighted,
                Some(sum) => (sum + weighted)?,
            });
            terms.push((t.term.name(), value.detach()));
        }
        let why = "no term counts in this epoch";
        let none = LossError::Setting { key: "terms", value: epoch as f64, why };
        Ok(Value { total: total.ok_or(none)?, terms })
    }
}
