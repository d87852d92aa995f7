//! Running a flow whose weights no longer change.

use crate::FlowError;

/// A flow for inference on the CPU: weights are arranged, and what depends on the position alone is
/// computed, once.
pub trait FrozenFlow: Send + Sync {
    /// Positions `first..first + count` of maps (P, D) row-major, one an image of B: latents (B,
    /// count, D) and log-determinants (B, count).
    ///
    /// # Errors
    /// Maps of another size.
    fn forward(
        &self,
        maps: &[&[f32]],
        first: usize,
        count: usize,
    ) -> Result<(Vec<f32>, Vec<f32>), FlowError>;
}
