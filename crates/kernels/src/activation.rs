//! Activations of frozen networks, applied in the epilogue of a convolution.

use crate::isa::{Isa, dispatch};
use crate::math::{exp, sigmoid};
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
    pub(crate) fn apply(self, x: &mut [f32]) {
        match self {
            Self::Identity => {}
            Self::Relu => relu(x),
            Self::Relu6 => relu6(x),
            Self::Silu => silu(x),
            Self::Sigmoid => logistic(x),
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

dispatch!(fn relu(x: &mut [f32]) = relu_body);
#[inline(always)]
fn relu_body<I: Isa>(x: &mut [f32]) {
    x.iter_mut().for_each(|v| *v = v.max(0.0));
}

dispatch!(fn relu6(x: &mut [f32]) = relu6_body);
#[inline(always)]
fn relu6_body<I: Isa>(x: &mut [f32]) {
    x.iter_mut().for_each(|v| *v = v.clamp(0.0, 6.0));
}

dispatch!(fn silu(x: &mut [f32]) = silu_body);
#[inline(always)]
fn silu_body<I: Isa>(x: &mut [f32]) {
    x.iter_mut().for_each(|v| *v /= 1.0 + exp::<I>(-*v));
}

dispatch!(fn logistic(x: &mut [f32]) = logistic_body);
#[inline(always)]
fn logistic_body<I: Isa>(x: &mut [f32]) {
    x.iter_mut().for_each(|v| *v = sigmoid::<I>(*v));
}
