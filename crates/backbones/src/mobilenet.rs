//! Blocks of the mobile family: depthwise-separable and inverted residual.

use crate::BackboneError;
use crate::convolution::{Reader, Shape};
use crate::stages::Block;
use candle_core::Tensor;
use hgad_kernels::{Activation, Conv2d, InvertedResidual, SqueezeExcite};

/// Settings of one block, under timm's names: depthwise-separable (Howard et al., 2017) or inverted
/// residual (Sandler et al., CVPR 2018), with squeeze-and-excitation where asked.
#[derive(Clone, Copy)]
pub(crate) struct MobileBlock {
    pub(crate) input: usize,
    pub(crate) output: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    /// Width inside in multiples of the input; 1 makes a depthwise-separable block.
    pub(crate) expansion: usize,
    pub(crate) squeeze: bool,
    pub(crate) activation: Activation,
}

impl MobileBlock {
    pub(crate) fn build(
        self,
        reader: &Reader,
        name: &str,
    ) -> Result<Box<dyn Block>, BackboneError> {
        let inner = self.input * self.expansion;
        let separable = self.expansion == 1;
        let act = self.activation;
        let shape = |input, output, kernel, stride, depthwise, activation| Shape {
            input,
            output,
            kernel,
            stride,
            depthwise,
            activation,
        };
        let conv = |conv: &str, norm: &str, s| {
            reader.convolution(&format!("{name}.{conv}"), &format!("{name}.{norm}"), s)
        };
        // timm counts the norms of a block in order of use.
        let (dw_norm, project, project_norm) =
            if separable { ("bn1", "conv_pw", "bn2") } else { ("bn2", "conv_pwl", "bn3") };
        let expand = match separable {
            true => None,
            false => Some(conv("conv_pw", "bn1", shape(self.input, inner, 1, 1, false, act))?),
        };
        let depthwise =
            conv("conv_dw", dw_norm, shape(inner, inner, self.kernel, self.stride, true, act))?;
        let squeeze = match self.squeeze {
            false => None,
            true => {
                // A quarter of the block's input, rounded.
                let reduced = (self.input as f64 * 0.25).round() as usize;
                let weight = |part: &str, o: usize, i: usize| -> Result<_, BackboneError> {
                    let prefix = format!("{name}.se.{part}");
                    let w = reader.tensor(&format!("{prefix}.weight"), &[o, i, 1, 1])?;
                    Ok((w.reshape((o, i))?, reader.tensor(&format!("{prefix}.bias"), &[o])?))
                };
                let (reduce, reduce_bias) = weight("conv_reduce", reduced, inner)?;
                let (expand, expand_bias) = weight("conv_expand", inner, reduced)?;
                Some(SqueezeExcite { reduce, reduce_bias, expand, expand_bias, activation: act })
            }
        };
        let linear = shape(inner, self.output, 1, 1, false, Activation::Identity);
        let project = conv(project, project_norm, linear)?;
        let residual = self.stride == 1 && self.input == self.output;
        Ok(Box::new(InvertedResidual { expand, depthwise, squeeze, project, residual }))
    }
}

impl Block for InvertedResidual {
    fn forward(&self, x: &Tensor) -> Result<Tensor, BackboneError> {
        Ok(InvertedResidual::forward(self, x)?)
    }
}

/// A convolution with batch norm and activation, such as a stem.
pub(crate) struct Stem(pub(crate) Conv2d);

impl Block for Stem {
    fn forward(&self, x: &Tensor) -> Result<Tensor, BackboneError> {
        Ok(self.0.forward(x, None)?)
    }
}
