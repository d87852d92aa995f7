//! Depthwise convolution as an operation with gradients, for networks that are trained.

use crate::activation::Activation;
use crate::conv::Padding;
use crate::depthwise::{Depthwise, DepthwiseWeights};
#[cfg(any(feature = "cuda", feature = "metal"))]
use crate::device;
use crate::im2col::Window;
use crate::isa::{Isa, dispatch};
use crate::pool::sum_rows;
use crate::storage::{contiguous, has_kernels, is_fused, with_slices};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Depthwise convolution with gradients for all three: `x` (B, H, W, C) with `weight`
/// (C, 1, KH, KW), as PyTorch keeps it, and `bias` (C) to (B, H', W', C).
///
/// # Errors
/// Shapes that do not belong together; an input smaller than the window.
pub fn depthwise_conv2d(
    x: &Tensor,
    weight: &Tensor,
    bias: &Tensor,
    stride: usize,
    padding: Padding,
) -> Result<Tensor> {
    let ((_, _, _, c), (c_out, one, kh, kw)) = (x.dims4()?, weight.dims4()?);
    if c_out != c || one != 1 || bias.dims() != [c] || kh * kw * c == 0 {
        bail!(
            "depthwise convolution: x {:?}, weight {:?} and bias {:?} do not belong together",
            x.dims(),
            weight.dims(),
            bias.dims()
        )
    }
    let window = Window::new(x.dims4()?, (kh, kw), stride, padding)?;
    if is_fused(x) || has_kernels(&[x, weight, bias]) {
        let weight = weight.permute((2, 3, 0, 1))?.reshape((kh * kw, c))?.contiguous()?;
        return x.contiguous()?.apply_op3(&weight, &bias.contiguous()?, DepthwiseConv2d(window));
    }
    let (bottom, right) = window.after();
    let x = x.permute((0, 3, 1, 2))?;
    let x = x.pad_with_zeros(2, window.top, bottom)?.pad_with_zeros(3, window.left, right)?;
    // candle's gradient refuses some inputs with pixels that no window reaches.
    let x = x.narrow(2, 0, (window.out_height - 1) * stride + kh)?.narrow(
        3,
        0,
        (window.out_width - 1) * stride + kw,
    )?;
    let y = x.contiguous()?.conv2d(weight, 0, stride, 1, c)?;
    y.permute((0, 2, 3, 1))?.broadcast_add(bias)?.contiguous()
}

struct DepthwiseConv2d(Window);

impl DepthwiseConv2d {
    fn shape(&self) -> Shape {
        let w = &self.0;
        (w.batch, w.out_height, w.out_width, w.channels).into()
    }

    #[cfg(any(feature = "cuda", feature = "metal"))]
    fn plan(&self, _: &Layout, _: &Layout, _: &Layout) -> Result<(device::Launch, Shape)> {
        Ok((device::depthwise_conv2d(&self.0, false, Activation::Identity), self.shape()))
    }
}

impl CustomOp3 for DepthwiseConv2d {
    fn name(&self) -> &'static str {
        "depthwise_conv2d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        weight: &CpuStorage,
        lw: &Layout,
        bias: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = contiguous(self.name(), x, lx)?;
        let weight = contiguous(self.name(), weight, lw)?;
        let bias = contiguous(self.name(), bias, lb)?;
        let work = Depthwise {
            x,
            widening: None,
            weights: &DepthwiseWeights::new(weight, bias),
            residual: None,
            activation: Activation::Identity,
            window: self.0,
        };
        Ok((CpuStorage::F32(work.run(false).0), self.shape()))
    }

    #[cfg(any(feature = "cuda", feature = "metal"))]
    device::device_forward!(x lx, weight lweight, bias lbias => x lx, weight lweight, bias lbias, bias lbias);

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (taps, c) = weight.dims2()?;
        #[cfg(any(feature = "cuda", feature = "metal"))]
        if !x.device().is_cpu() {
            let inputs = [x, weight, grad];
            let [dx, sums] = device::depthwise_gradient(&device::OfTensors, inputs, &self.0)?;
            let sums = sums.reshape((taps + 1, c))?;
            let (dweight, dbias) = (sums.narrow(0, 0, taps)?, sums.get(taps)?);
            return Ok((Some(dx.reshape(x.shape())?), Some(dweight), Some(dbias)));
        }
        let all = [x.contiguous()?, weight.contiguous()?, grad.contiguous()?];
        let (dx, mut sums) = with_slices(&all, |s| gradient(s[0], s[1], s[2], &self.0))?;
        let dbias = sums.split_off(taps * c);
        let dev = x.device();
        Ok((
            Some(Tensor::from_vec(dx, x.shape(), dev)?),
            Some(Tensor::from_vec(sums, (taps, c), dev)?),
            Some(Tensor::from_vec(dbias, c, dev)?),
        ))
    }
}

/// Gradients of x, and of weight and bias (KH * KW + 1, C); a task takes an image.
fn gradient(x: &[f32], weight: &[f32], grad: &[f32], w: &Window) -> (Vec<f32>, Vec<f32>) {
    let width = (w.kernel.0 * w.kernel.1 + 1) * w.channels;
    let (input, output) =
        (w.height * w.width * w.channels, w.out_height * w.out_width * w.channels);
    let mut dx = vec![0.0; x.len()];
    let mut sums = vec![0.0; w.batch * width];
    dx.par_chunks_mut(input.max(1))
        .zip(x.par_chunks(input.max(1)))
        .zip(grad.par_chunks(output.max(1)))
        .zip(sums.par_chunks_mut(width))
        .for_each(|(((dx, x), grad), sums)| image_gradient(dx, x, weight, grad, sums, w));
    let mut total = vec![0.0; width];
    sum_rows(&sums, &mut total);
    (dx, total)
}

dispatch!(fn image_gradient(dx: &mut [f32], x: &[f32], weight: &[f32], grad: &[f32], sums: &mut [f32], w: &Window) = image_gradient_body);
#[inline(always)]
fn image_gradient_body<I: Isa>(
    dx: &mut [f32],
    x: &[f32],
    weight: &[f32],
    grad: &[f32],
    sums: &mut [f32],
    w: &Window,
) {
    let (c, (kh, kw)) = (w.channels, w.kernel);
    for (pixel, grad) in grad.chunks_exact(c).enumerate() {
        let (oh, ow) = (pixel / w.out_width, pixel % w.out_width);
        let (h0, h1) = Window::taps(oh, w.stride, w.top, kh, w.height);
        let (w0, w1) = Window::taps(ow, w.stride, w.left, kw, w.width);
        for i in h0..h1 {
            for j in w0..w1 {
                let y = oh * w.stride + i - w.top;
                let at = (y * w.width + ow * w.stride + j - w.left) * c;
                let tap = (i * kw + j) * c;
                let (x, dx) = (&x[at..at + c], &mut dx[at..at + c]);
                let (k, sum) = (&weight[tap..tap + c], &mut sums[tap..tap + c]);
                for ((((g, x), dx), k), sum) in grad.iter().zip(x).zip(dx).zip(k).zip(sum) {
                    *dx = I::madd(*g, *k, *dx);
                    *sum = I::madd(*g, *x, *sum);
                }
            }
        }
        let bias = &mut sums[kh * kw * c..];
        bias.iter_mut().zip(grad).for_each(|(b, g)| *b += g);
    }
}
