//! What a loss is computed from: the latents of one feature level under a prior.

use crate::LossError;
use candle_core::Tensor;
use hgad_priors::Prior;
use std::cell::OnceCell;

/// Latents of a batch, with what several terms share computed once.
pub struct Latents<'a> {
    z: &'a Tensor,
    log_det: &'a Tensor,
    labels: &'a [u32],
    prior: &'a dyn Prior,
    logits: OnceCell<Option<Tensor>>,
    given_class: OnceCell<Tensor>,
}

impl<'a> Latents<'a> {
    /// `z` (B, P, D), `log_det` (B, P), `labels` (B).
    ///
    /// # Errors
    /// Shapes that do not belong together.
    pub fn new(
        z: &'a Tensor,
        log_det: &'a Tensor,
        labels: &'a [u32],
        prior: &'a dyn Prior,
    ) -> Result<Self, LossError> {
        if z.rank() != 3 || log_det.dims() != &z.dims()[..2] {
            return Err(LossError::LogDet {
                latents: z.dims().to_vec(),
                log_det: log_det.dims().to_vec(),
            });
        }
        let (logits, given_class) = (OnceCell::new(), OnceCell::new());
        Ok(Self { z, log_det, labels, prior, logits, given_class })
    }

    /// Dimension D.
    pub fn dim(&self) -> f64 {
        self.prior.dim() as f64
    }

    /// `ln det J`, (B, P).
    pub fn log_det(&self) -> &Tensor {
        self.log_det
    }

    /// Class of each image, (B).
    pub fn labels(&self) -> &[u32] {
        self.labels
    }

    /// `l_k`, (B, P, C).
    ///
    /// # Errors
    /// The prior has no classes; `term` asked.
    pub fn logits(&self, term: &'static str) -> Result<&Tensor, LossError> {
        self.optional_logits()?.ok_or(LossError::Prior { term, needs: "with classes" })
    }

    /// `ln p_k`, (C).
    ///
    /// # Errors
    /// The prior has no classes; `term` asked.
    pub fn log_class_weights(&self, term: &'static str) -> Result<Tensor, LossError> {
        let weights = self.prior.log_class_weights()?;
        weights.ok_or(LossError::Prior { term, needs: "with classes" })
    }

    /// Log-density whatever the class, (B, P).
    ///
    /// # Errors
    /// From the prior.
    pub fn log_density(&self) -> Result<Tensor, LossError> {
        Ok(self.prior.log_density(self.z, self.optional_logits()?)?)
    }

    /// Log-density given the class, (B, P).
    ///
    /// # Errors
    /// From the prior.
    pub fn log_density_of_class(&self) -> Result<&Tensor, LossError> {
        if self.given_class.get().is_none() {
            let value = self.prior.log_density_of_class(self.z, self.labels)?;
            let _ = self.given_class.set(value);
        }
        Ok(self.given_class.get().expect("set above"))
    }

    fn optional_logits(&self) -> Result<Option<&Tensor>, LossError> {
        if self.logits.get().is_none() {
            let _ = self.logits.set(self.prior.class_logits(self.z)?);
        }
        Ok(self.logits.get().expect("set above").as_ref())
    }
}
