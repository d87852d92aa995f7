//! The weighted sum of terms, by stage of training.

use crate::registry::{self, LossConfig, Stages};
use crate::{Latents, LossError, LossTerm, Needs};
use candle_core::Tensor;
use hgad_priors::Prior;

struct Weighted {
    term: Box<dyn LossTerm>,
    stages: Stages,
}

/// A sum of terms whose weights depend on the stage.
pub struct StagedLoss {
    terms: Vec<Weighted>,
    second_stage: usize,
}

/// A loss and its parts.
pub struct Value {
    /// The weighted sum, a scalar with gradients.
    pub total: Tensor,
    /// Each term that counted, before its weight.
    pub terms: Vec<(&'static str, Tensor)>,
}

impl StagedLoss {
    /// No terms yet; the second stage begins with epoch `second_stage` (from 0).
    pub fn empty(second_stage: usize) -> Self {
        Self { terms: Vec::new(), second_stage }
    }

    /// The loss of `config` under `prior`, by default HGAD's: stage 1 `λ1 L_g - λ2 L_mi + L_e`,
    /// stage 2 that plus `L_intra + L_z`. Terms that need what the prior has not are left out.
    ///
    /// # Errors
    /// A term that nobody registered; a weight that is not finite; no term left in the first stage
    /// or, where it does not begin at once, in the second.
    pub fn new(config: &LossConfig, prior: &dyn Prior) -> Result<Self, LossError> {
        if !(0.0..=1.0).contains(&config.smoothing) {
            let why = "expected a share between 0 and 1";
            return Err(LossError::Setting { key: "smoothing", value: config.smoothing, why });
        }
        let has_classes = prior.log_class_weights()?.is_some();
        let mut loss = Self::empty(config.second_stage);
        for (name, weight) in config.weights() {
            let (term, stages) = registry::build(&name, config, weight)?;
            let served = match term.needs() {
                Needs::Density => true,
                Needs::Classes => has_classes,
                Needs::IntraClasses => prior.has_intra_classes(),
            };
            if served && stages.0 != [0.0; 2] {
                loss.add(term, stages)?;
            }
        }
        // A second stage from the first epoch is the only one.
        let epochs = [0, config.second_stage];
        if epochs.into_iter().any(|epoch| loss.active(epoch).next().is_none()) {
            let why =
                "at least one term that this prior serves must count in each stage of training";
            let value = config.inter.stages(false).0[0];
            return Err(LossError::Setting { key: "inter", value, why });
        }
        Ok(loss)
    }

    /// Adds `term` with its weight in each stage.
    ///
    /// # Errors
    /// A weight that is not finite.
    pub fn add(&mut self, term: Box<dyn LossTerm>, stages: Stages) -> Result<(), LossError> {
        if let Some(&value) = stages.0.iter().find(|w| !w.is_finite()) {
            let why = "expected a finite number";
            return Err(LossError::Setting { key: term.name(), value, why });
        }
        self.terms.push(Weighted { term, stages });
        Ok(())
    }

    /// Names of the terms that count in `epoch` (from 0), in order.
    pub fn active(&self, epoch: usize) -> impl Iterator<Item = &'static str> {
        self.weighted(epoch).map(|(term, _)| term.name())
    }

    /// The terms that count in `epoch`, with their weights.
    fn weighted(&self, epoch: usize) -> impl Iterator<Item = (&dyn LossTerm, f64)> {
        let stage = usize::from(epoch >= self.second_stage);
        let of = move |t: &Weighted| t.stages.0[stage];
        self.terms.iter().filter(move |t| of(t) != 0.0).map(move |t| (t.term.as_ref(), of(t)))
    }

    /// The loss of `latents` in `epoch` (from 0).
    ///
    /// # Errors
    /// A prior without what a term needs; no term counts.
    pub fn value(&self, latents: &Latents, epoch: usize) -> Result<Value, LossError> {
        let mut total: Option<Tensor> = None;
        let mut terms = Vec::new();
        for (term, weight) in self.weighted(epoch) {
            let value = term.value(latents)?;
            let signed = if term.is_maximized() { -weight } else { weight };
            // A product by 1 would be a kernel to start on a device, and one more for its gradient.
            let weighted = if signed == 1.0 { value.clone() } else { (&value * signed)? };
            total = Some(match total {
                None => weighted,
                Some(sum) => (sum + weighted)?,
            });
            terms.push((term.name(), value.detach()));
        }
        let why = "no term counts in this epoch";
        let none = LossError::Setting { key: "terms", value: epoch as f64, why };
        Ok(Value { total: total.ok_or(none)?, terms })
    }
}
