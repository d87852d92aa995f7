//! The interface of every invertible map.

use crate::FlowError;
use candle_core::Tensor;

/// A differentiable one-to-one map of vectors.
pub trait Bijection: Send + Sync {
    /// Dimension D of the vectors.
    fn dim(&self) -> usize;

    /// Channels K of the condition, 0 for none.
    fn condition_dim(&self) -> usize;

    /// `x` (N, D) to `(z, ln |det dz/dx|)`, (N, D) and (N). `condition` (P, K), P a divisor of N.
    ///
    /// # Errors
    /// Shapes that do not fit.
    fn forward(
        &self,
        x: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError>;

    /// `z` (N, D) to `(x, ln |det dx/dz|)`: undoes [`Bijection::forward`].
    ///
    /// # Errors
    /// As forward.
    fn inverse(
        &self,
        z: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError>;
}
