//! Activations of frozen networks, applied in the epilogue of a convolution.

use crate::simd::Vector;
use candle_core::{Result, Tensor};

/// A pointwise non-linearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Activation {
    /// `x`
    #[default]
    Identity,
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `x / (1 + e^-x)`, also called swish
    Silu,
    /// `1 / (1 + e^-x)`
    Sigmoid,
}

impl Activation {
    /// Of one vector.
    #[inline(always)]
    pub(crate) fn of<V: Vector>(self, x: V) -> V {
        let zero = V::splat(0.0);
        match self {
            Self::Identity => x,
            Self::Relu => zero.max(x),
            Self::Relu6 => V::splat(6.0).min(zero.max(x)),
            Self::Silu => x.mul(x.sigmoid()),
            Self::Sigmoid => x.sigmoid(),
        }
    }

    /// The same through candle's operations, for any type and device.
    pub(crate) fn plain(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Identity => Ok(x.clone()),
            Self::Relu => x.relu(),
            Self::Relu6 => x.clamp(0.0, 6.0),
            Self::Silu => x.silu(),
            Self::Sigmoid => (x.neg()?.exp()? + 1.0)?.recip(),
        }
    }
}
