//! The interface of every loss term.

use crate::{Latents, LossError};
use candle_core::Tensor;

/// What a term asks of a prior.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Any density.
    Density,
    /// Classes.
    Classes,
    /// Centres within classes.
    IntraClasses,
}

/// One term of a loss.
pub trait LossTerm: Send + Sync {
    /// Its name in configurations and logs.
    fn name(&self) -> &'static str;

    /// What it asks of the prior; a term that the prior cannot serve is left out.
    fn needs(&self) -> Needs;

    /// Whether training maximizes it: its weight then counts against the loss.
    fn is_maximized(&self) -> bool {
        false
    }

    /// A scalar: the mean over the vectors.
    ///
    /// # Errors
    /// A prior without what the term needs.
    fn value(&self, latents: &Latents) -> Result<Tensor, LossError>;
}
