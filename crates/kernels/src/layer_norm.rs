//! Layer normalization (Ba et al., 2016) of frozen networks.

use crate::fill::par_fill;
use crate::isa::{Isa, dispatch};
use crate::product::TILE;
use crate::row;
use crate::storage::{is_fused, with_slice, with_slices};
use candle_core::{D, Result, Tensor, bail};

/// `(x - mean) / sqrt(variance + epsilon) * weight + bias` over the last dimension: `x` (.., C),
/// `weight` and `bias` (C), to `x`'s shape. The variance is the biased one. It has no gradient on
/// its fused path.
///
/// # Errors
/// Shapes that do not belong together.
pub fn layer_norm(x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f64) -> Result<Tensor> {
    let c = x.dims().last().copied().unwrap_or(0);
    if c == 0 || weight.dims() != [c] || bias.dims() != [c] {
        let [x, w, b] = [x, weight, bias].map(Tensor::dims);
        bail!("layer normalization: x {x:?}, weight {w:?} and bias {b:?} do not belong together")
    }
    if ![x, weight, bias].into_iter().all(is_fused) {
        return plain(x, weight, bias, epsilon);
    }
    let of_channels = [weight.contiguous()?, bias.contiguous()?];
    let out = with_slice("layer normalization", x, |x| {
        with_slices(&of_channels, |s| {
            par_fill(x.len(), TILE * c, |tile, blank| {
                let x = &x[tile * TILE * c..][..blank.len()];
                let out = blank.rows(c, |i| &x[i * c..][..c]);
                normalize_rows(out, s[0], s[1], epsilon as f32);
                out
            })
        })
    })?;
    Tensor::from_vec(out, x.shape(), x.device())
}

fn plain(x: &Tensor, weight: &Tensor, bias: &Tensor, epsilon: f64) -> Result<Tensor> {
    let here = |t: &Tensor| t.to_device(x.device())?.to_dtype(x.dtype());
    let centered = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let deviation = (centered.sqr()?.mean_keepdim(D::Minus1)? + epsilon)?.sqrt()?;
    centered.broadcast_div(&deviation)?.broadcast_mul(&here(weight)?)?.broadcast_add(&here(bias)?)
}

dispatch!(fn normalize_rows(x: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) = normalize_rows_body);
#[inline(always)]
fn normalize_rows_body<I: Isa>(x: &mut [f32], weight: &[f32], bias: &[f32], epsilon: f32) {
    let share = 1.0 / weight.len() as f32;
    for x in x.chunks_exact_mut(weight.len()) {
        let mean = row::sum(x) * share;
        x.iter_mut().for_each(|x| *x -= mean);
        let scale = 1.0 / (row::dot::<I>(x, x) * share + epsilon).sqrt();
        for ((x, w), b) in x.iter_mut().zip(weight).zip(bias) {
            *x = I::madd(*x * scale, *w, *b);
        }
    }
}
