//! Convolutions with the batch norm that follows them folded in.

use crate::{BackboneError, WeightSource};
use candle_core::{DType, Tensor};
use hgad_kernels::{Activation, Conv2d, Conv2dConfig, Padding};

/// Reads the weights of one network.
pub(crate) struct Reader<'a> {
    pub(crate) source: &'a dyn WeightSource,
    /// Added to a batch norm's variance.
    pub(crate) epsilon: f64,
    /// TensorFlow's padding, else half the window at each side.
    pub(crate) same: bool,
}

/// What a convolution is besides its weights' names.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) input: usize,
    pub(crate) output: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) depthwise: bool,
    pub(crate) activation: Activation,
}

impl Reader<'_> {
    pub(crate) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, BackboneError> {
        self.source.tensor(name, shape)
    }

    /// The convolution `conv` followed by the batch norm `norm`:
    /// `w' = w g / sqrt(v + e)`, `b' = b - m g / sqrt(v + e)`, in f64.
    pub(crate) fn convolution(
        &self,
        conv: &str,
        norm: &str,
        s: Shape,
    ) -> Result<Conv2d, BackboneError> {
        let groups = if s.depthwise { s.input } else { 1 };
        let shape = [s.output, s.input / groups, s.kernel, s.kernel];
        let weight = self.tensor(&format!("{conv}.weight"), &shape)?.to_dtype(DType::F64)?;
        let of_norm = |part: &str| -> Result<Tensor, BackboneError> {
            Ok(self.tensor(&format!("{norm}.{part}"), &[s.output])?.to_dtype(DType::F64)?)
        };
        let deviation = (of_norm("running_var")? + self.epsilon)?.sqrt()?;
        let gain = (of_norm("weight")? / deviation)?;
        let bias = (of_norm("bias")? - (of_norm("running_mean")? * &gain)?)?;
        let weight = weight.broadcast_mul(&gain.reshape((s.output, 1, 1, 1))?)?;
        let padding = if self.same { Padding::Same } else { Padding::Each(s.kernel / 2) };
        let config = Conv2dConfig { stride: s.stride, padding, groups, activation: s.activation };
        let single = |t: Tensor| t.to_dtype(DType::F32);
        Ok(Conv2d::new(&single(weight)?, &single(bias)?, config)?)
    }

    /// Pixels after a window of `kernel` at `stride`.
    pub(crate) fn size_after(same: bool, size: usize, kernel: usize, stride: usize) -> usize {
        if same {
            size.div_ceil(stride)
        } else {
            (size + 2 * (kernel / 2)).saturating_sub(kernel) / stride + 1
        }
    }
}
