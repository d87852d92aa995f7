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
    /// `x (1 + erf(x / sqrt 2)) / 2`, within `3e-7 max(1, |x|)`
    Gelu,
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
            Self::Gelu => gelu(x),
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
            Self::Gelu => x.gelu_erf(),
        }
    }
}

/// `max(x, 0) - |x| erfc(|x| / sqrt 2) / 2`, which needs no sign, with erfc by Abramowitz and
/// Stegun, Handbook of Mathematical Functions, 7.1.26: its error is below 1.5e-7.
#[inline(always)]
fn gelu<V: Vector>(x: V) -> V {
    let (s, zero) = (V::splat, V::splat(0.0));
    // Beyond 14 erfc is 0 in f32, and infinity times 0 would be no number.
    let a = s(14.0).min(zero.sub(x).max(x));
    let t = a.mul_add(s(0.231_641_89), s(1.0)).recip();
    let mut p = s(1.061_405_4);
    p = p.mul_add(t, s(-1.453_152));
    p = p.mul_add(t, s(1.421_413_7));
    p = p.mul_add(t, s(-0.284_496_74));
    p = p.mul_add(t, s(0.254_829_6));
    let half = a.mul(s(-0.5));
    let erfc = p.mul(t).mul(half.mul(a).exp());
    half.mul_add(erfc, zero.max(x))
}
