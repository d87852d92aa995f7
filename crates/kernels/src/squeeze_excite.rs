//! Squeeze-and-excitation (Hu et al., CVPR 2018): channels weighted by what the whole map holds.

use crate::activation::Activation;
use crate::fill::par_fill;
use crate::isa::{Isa, dispatch};
use crate::pool::global_mean;
use crate::storage::{is_fused, with_slice};
use candle_core::{Result, Tensor};

/// The two small layers of a squeeze-and-excitation block.
#[derive(Clone, Debug)]
pub struct SqueezeExcite {
    /// (R, C), to R reduced channels.
    pub reduce: Tensor,
    /// (R)
    pub reduce_bias: Tensor,
    /// (C, R), back to C channels.
    pub expand: Tensor,
    /// (C)
    pub expand_bias: Tensor,
    /// Between the two layers.
    pub activation: Activation,
}

/// `x` (B, H, W, C) times `sigmoid(expand(act(reduce(mean of x))))` (B, C).
///
/// # Errors
/// Shapes that do not belong together.
pub fn squeeze_excite(x: &Tensor, block: &SqueezeExcite) -> Result<Tensor> {
    let (b, h, w, c) = x.dims4()?;
    let mean = global_mean(x)?;
    let squeezed = mean.matmul(&block.reduce.t()?)?.broadcast_add(&block.reduce_bias)?;
    let squeezed = block.activation.plain(&squeezed)?;
    let gate = squeezed.matmul(&block.expand.t()?)?.broadcast_add(&block.expand_bias)?;
    let gate = Activation::Sigmoid.plain(&gate)?;
    if !is_fused(x) {
        return x.broadcast_mul(&gate.reshape((b, 1, 1, c))?);
    }
    let row = w * c;
    let out = with_slice("squeeze-and-excitation", x, |x| {
        with_slice("squeeze-and-excitation", &gate, |gate| {
            Ok(par_fill(b * h * row, row.max(1), |tile, blank| {
                let out = blank.rows(row, |_| &x[tile * row..(tile + 1) * row]);
                scale(out, &gate[tile / h * c..][..c]);
                out
            }))
        })
    })?;
    Tensor::from_vec(out, (b, h, w, c), x.device())
}

dispatch!(fn scale(x: &mut [f32], gate: &[f32]) = scale_body);
#[inline(always)]
fn scale_body<I: Isa>(x: &mut [f32], gate: &[f32]) {
    for x in x.chunks_exact_mut(gate.len()) {
        x.iter_mut().zip(gate).for_each(|(x, g)| *x *= g);
    }
}
