//! Training a flow with hand-written gradients.

use crate::FlowError;
use crate::coupling_chain::check_maps;
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

impl FeatureMaps<'_> {
    /// The number B of images, each with at least `positions` vectors of `dim` entries.
    ///
    /// # Errors
    /// Maps of another size.
    pub(crate) fn images(&self, positions: usize, dim: usize) -> Result<usize, FlowError> {
        match self {
            Self::Host(maps) => {
                check_maps(maps, positions, dim)?;
                Ok(maps.len())
            }
            Self::Device(maps) => match *maps.dims() {
                [images, p, d] if d == dim && p >= positions => Ok(images),
                _ => Err(FlowError::Input { expected: dim, found: maps.dims().to_vec() }),
            },
        }
    }
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
    /// log-determinants (B, count), where the flow is, as variables whose gradients a loss gives.
    ///
    /// # Errors
    /// Maps of another size.
    fn forward(
        &mut self,
        maps: &FeatureMaps,
        first: usize,
        count: usize,
    ) -> Result<(Var, Var), FlowError>;

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
