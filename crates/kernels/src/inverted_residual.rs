//! Inverted residual block (Sandler et al., CVPR 2018): widen, depthwise, squeeze, project.

use crate::conv::Conv2d;
use crate::squeeze_excite::{SqueezeExcite, squeeze_excite};
use crate::storage::is_fused;
use candle_core::{Result, Tensor};

/// The block's parts; without `expand` it is a depthwise-separable one (Howard et al., 2017).
#[derive(Clone, Debug)]
pub struct InvertedResidual {
    /// Pointwise, to the inner width.
    pub expand: Option<Conv2d>,
    /// Depthwise.
    pub depthwise: Conv2d,
    /// Squeeze-and-excitation of the inner map.
    pub squeeze: Option<SqueezeExcite>,
    /// Pointwise, to the block's output.
    pub project: Conv2d,
    /// Whether the block's input is added to its output.
    pub residual: bool,
}

impl InvertedResidual {
    /// `x` (B, H, W, C) to (B, H', W', C').
    ///
    /// On the CPU the widened map is made a few rows and channels at a time right before the
    /// depthwise convolution reads them, and the squeeze's gate goes into the projection's weights.
    ///
    /// # Errors
    /// Shapes that do not belong together.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let residual = self.residual.then_some(x);
        if !is_fused(x) {
            return self.parts(x, residual);
        }
        let (inner, sums) =
            self.depthwise.forward_behind(self.expand.as_ref(), x, self.squeeze.is_some())?;
        match &self.squeeze {
            None => self.project.forward(&inner, residual),
            Some(squeeze) => {
                let (_, h, w, _) = inner.dims4()?;
                let mean: Vec<f32> = sums.iter().map(|s| s / (h * w) as f32).collect();
                let gates = squeeze.gates(&mean)?;
                self.project.forward_gated(&inner, &gates, residual)
            }
        }
    }

    /// The same one part after the other.
    fn parts(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        let y = match &self.expand {
            Some(conv) => conv.forward(x, None)?,
            None => x.clone(),
        };
        let y = self.depthwise.forward(&y, None)?;
        let y = match &self.squeeze {
            Some(block) => squeeze_excite(&y, block)?,
            None => y,
        };
        self.project.forward(&y, residual)
    }
}
