//! Pooling of channels-last maps.

use crate::fill::par_fill;
use crate::im2col::Window;
use crate::isa::{Isa, dispatch};
use crate::storage::{is_fused, with_slice};
use candle_core::{Result, Tensor, bail};

/// Maximum over `kernel` x `kernel` windows of `x` (B, H, W, C), `padding` pixels of minus
/// infinity around: (B, H', W', C). It has no gradient on its fused path.
///
/// # Errors
/// An input smaller than the window.
pub fn max_pool(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    let (b, h, w, c) = x.dims4()?;
    if h + 2 * padding < kernel || w + 2 * padding < kernel || stride == 0 {
        bail!("max pooling: an input of {h}x{w} is smaller than the {kernel}x{kernel} window")
    }
    let window = Window {
        batch: b,
        height: h,
        width: w,
        channels: c,
        kernel: (kernel, kernel),
        stride,
        top: padding,
        left: padding,
        out_height: (h + 2 * padding - kernel) / stride + 1,
        out_width: (w + 2 * padding - kernel) / stride + 1,
    };
    if !is_fused(x) {
        return plain_max_pool(x, &window);
    }
    let row = window.out_width * c;
    let out = with_slice("max pooling", x, |x| {
        Ok(par_fill(b * window.out_height * row, row.max(1), |tile, blank| {
            let out = blank.each(|_| f32::NEG_INFINITY);
            let (image, oh) = (tile / window.out_height, tile % window.out_height);
            max_row(&x[image * h * w * c..(image + 1) * h * w * c], out, oh, &window);
            out
        }))
    })?;
    Tensor::from_vec(out, (b, window.out_height, window.out_width, c), x.device())
}

dispatch!(fn max_row(x: &[f32], out: &mut [f32], oh: usize, w: &Window) = max_row_body);
#[inline(always)]
fn max_row_body<I: Isa>(x: &[f32], out: &mut [f32], oh: usize, w: &Window) {
    let c = w.channels;
    let (h0, h1) = Window::taps(oh, w.stride, w.top, w.kernel.0, w.height);
    for (ow, out) in out.chunks_exact_mut(c).enumerate() {
        let (w0, w1) = Window::taps(ow, w.stride, w.left, w.kernel.1, w.width);
        for i in h0..h1 {
            for j in w0..w1 {
                let at = ((oh * w.stride + i - w.top) * w.width + ow * w.stride + j - w.left) * c;
                out.iter_mut().zip(&x[at..at + c]).for_each(|(o, x)| *o = o.max(*x));
            }
        }
    }
}

fn plain_max_pool(x: &Tensor, w: &Window) -> Result<Tensor> {
    let least = x.min_all()?.to_dtype(candle_core::DType::F64)?.to_scalar::<f64>()?;
    // Padding with the least value of all changes no maximum.
    let x = (x.permute((0, 3, 1, 2))? - least)?;
    let x = x.pad_with_zeros(2, w.top, w.top)?.pad_with_zeros(3, w.left, w.left)?;
    let y = x.contiguous()?.max_pool2d_with_stride(w.kernel.0, w.stride)?;
    (y.permute((0, 2, 3, 1))? + least)?.contiguous()
}

/// Mean over the positions of `x` (B, H, W, C): (B, C).
///
/// # Errors
/// Another number of dimensions.
pub fn global_mean(x: &Tensor) -> Result<Tensor> {
    let (b, h, w, c) = x.dims4()?;
    if !is_fused(x) {
        return x.reshape((b, h * w, c))?.mean(1);
    }
    let out = with_slice("mean over positions", x, |x| {
        let mut out = Vec::with_capacity(b * c);
        for image in x.chunks_exact((h * w * c).max(1)) {
            // Sums of rows in parallel, then of these in order: the same for any thread count.
            let rows = par_fill(h * c, c.max(1), |i, blank| {
                let out = blank.zeros();
                sum_rows(&image[i * w * c..(i + 1) * w * c], out);
                out
            });
            let mut sum = vec![0.0; c];
            sum_rows(&rows, &mut sum);
            out.extend(sum.iter().map(|s| s / (h * w) as f32));
        }
        Ok(out)
    })?;
    Tensor::from_vec(out, (b, c), x.device())
}

dispatch!(
    /// Adds every row of `x`, as wide as `out`, to `out`.
    pub(crate) fn sum_rows(x: &[f32], out: &mut [f32]) = sum_rows_body
);
#[inline(always)]
fn sum_rows_body<I: Isa>(x: &[f32], out: &mut [f32]) {
    for row in x.chunks_exact(out.len().max(1)) {
        out.iter_mut().zip(row).for_each(|(o, x)| *o += x);
    }
}
