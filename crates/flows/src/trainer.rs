//! Training a flow with hand-written gradients.

use crate::FlowError;
use candle_core::Var;

/// Gradients of a flow's parameters, chunk by chunk: [`FlowTrainer::forward`], a loss of its
/// latents, [`FlowTrainer::backward`] with the loss's gradients; parts of a batch add up.
pub trait FlowTrainer: Send {
    /// Begins a step: takes the weights as they are now, and sets the gradients to 0.
    ///
    /// # Errors
    /// From candle.
    fn begin(&mut self) -> Result<(), FlowError>;

    /// Positions `first..first + count` of maps (P, D) row-major, one an image of B: latents (B,
    /// count, D) and log-determinants (B, count).
    ///
    /// # Errors
    /// Maps of another size.
    fn forward(
        &mut self,
        maps: &[&[f32]],
        first: usize,
        count: usize,
    ) -> Result<(Vec<f32>, Vec<f32>), FlowError>;

    /// Adds the gradients of the last chunk: `dz` (B, count, D), `dlog_det` (B, count).
    ///
    /// # Errors
    /// From candle.
    fn backward(&mut self, dz: &[f32], dlog_det: &[f32]) -> Result<(), FlowError>;

    /// Calls `each` with every parameter and its gradient, row-major.
    ///
    /// # Errors
    /// From candle, or from `each`.
    fn gradients(
        &mut self,
        each: &mut dyn FnMut(&Var, &[f32]) -> candle_core::Result<()>,
    ) -> Result<(), FlowError>;
}
