//! Training a flow with hand-written gradients.

use crate::FlowError;
use candle_core::{Tensor, Var};
use hgad_kernels::Gradient;

/// Feature maps (P, D) of some images.
#[derive(Clone, Debug)]
pub enum FeatureMaps<'a> {
    /// On the host, row-major, one an image.
    Host(Vec<&'a [f32]>),
    /// Where the flow is: (B, P, D), `f32`.
    Device(Tensor),
}

/// Gradients of a flow's parameters, chunk by chunk: [`FlowTrainer::forward`], a loss of its
/// latents, [`FlowTrainer::backward`] with the loss's gradients; parts of a batch add up.
pub trait FlowTrainer: Send {
    /// Begins a step: takes the weights as they are now, and sets the gradients to 0.
    ///
    /// # Errors
    /// From candle.
    fn begin(&mut self) -> Result<(), FlowError>;

    /// Positions `first..first + count` of the maps of B images: latents (B, count, D) and
    /// log-determinants (B, count), where the flow is.
    ///
    /// # Errors
    /// Maps of another size.
    fn forward(
        &mut self,
        maps: &FeatureMaps,
        first: usize,
        count: usize,
    ) -> Result<(Tensor, Tensor), FlowError>;

    /// Adds the gradients of the last chunk: `dz` (B, count, D), `dlog_det` (B, count), where the flow is.
    ///
    /// # Errors
    /// From candle.
    fn backward(&mut self, dz: &Tensor, dlog_det: &Tensor) -> Result<(), FlowError>;

    /// Calls `each` with every parameter and its gradient.
    ///
    /// # Errors
    /// From candle, or from `each`.
    fn gradients(
        &mut self,
        each: &mut dyn FnMut(&Var, Gradient) -> candle_core::Result<()>,
    ) -> Result<(), FlowError>;
}
