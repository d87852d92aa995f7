//! The interface of every invertible map.

use crate::{FlowError, FlowTrainer, FrozenFlow};
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

    /// Whether it looks at neighbours: the vectors given are then all positions of each image, and
    /// an entry of the log-determinant is the part of its position, to be summed over the map.
    fn whole_maps(&self) -> bool {
        false
    }

    /// Whether [`Bijection::initialize`] does anything.
    fn starts_from_data(&self) -> bool {
        false
    }

    /// Sets the parameters whose start depends on data from a first batch `x` (N, D). It is called
    /// once, before the first step of a training; what it sets are parameters like others, saved
    /// with them.
    ///
    /// # Errors
    /// As forward.
    fn initialize(&self, x: &Tensor, condition: Option<&Tensor>) -> Result<(), FlowError> {
        let _ = (x, condition);
        Ok(())
    }

    /// Training with hand-written gradients, for flows that have them on their device; the others
    /// are trained by autograd. `code` (P, K) is the condition of every position of a map.
    ///
    /// # Errors
    /// A code that does not fit.
    fn trainer(&self, code: Option<&Tensor>) -> Result<Option<Box<dyn FlowTrainer>>, FlowError> {
        let _ = code;
        Ok(None)
    }

    /// The flow as it is now, for inference, where it has a faster form on its device; `code` (P,
    /// K) is the condition of every position of a map.
    ///
    /// # Errors
    /// A code that does not fit.
    fn freeze(&self, code: Option<&Tensor>) -> Result<Option<Box<dyn FrozenFlow>>, FlowError> {
        let _ = code;
        Ok(None)
    }
}

impl<T: Bijection + ?Sized> Bijection for std::sync::Arc<T> {
    fn dim(&self) -> usize {
        (**self).dim()
    }

    fn condition_dim(&self) -> usize {
        (**self).condition_dim()
    }

    fn forward(
        &self,
        x: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        (**self).forward(x, condition)
    }

    fn inverse(
        &self,
        z: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        (**self).inverse(z, condition)
    }

    fn whole_maps(&self) -> bool {
        (**self).whole_maps()
    }

    fn starts_from_data(&self) -> bool {
        (**self).starts_from_data()
    }

    fn initialize(&self, x: &Tensor, condition: Option<&Tensor>) -> Result<(), FlowError> {
        (**self).initialize(x, condition)
    }

    fn trainer(&self, code: Option<&Tensor>) -> Result<Option<Box<dyn FlowTrainer>>, FlowError> {
        (**self).trainer(code)
    }

    fn freeze(&self, code: Option<&Tensor>) -> Result<Option<Box<dyn FrozenFlow>>, FlowError> {
        (**self).freeze(code)
    }
}
