//! Squeeze-and-excitation (Hu et al., CVPR 2018): channels weighted by what the whole map holds.

use crate::activation::Activation;
use crate::fill::par_fill;
use crate::isa::{Isa, dispatch};
use crate::pool::global_mean;
use crate::row;
use crate::simd::Vector;
use crate::storage::{is_fused, with_slice, with_slices};
use candle_core::{Result, Tensor, bail};

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

impl SqueezeExcite {
    /// `sigmoid(expand(act(reduce(mean))))` of means (B, C), (B, C), on the CPU.
    ///
    /// # Errors
    /// Shapes that do not belong together, another type or device.
    pub(crate) fn gates(&self, mean: &[f32]) -> Result<Vec<f32>> {
        let (r, c) = self.reduce.dims2()?;
        let parts = [&self.reduce, &self.reduce_bias, &self.expand, &self.expand_bias];
        if c == 0
            || !mean.len().is_multiple_of(c)
            || self.reduce_bias.dims() != [r]
            || self.expand.dims() != [c, r]
            || self.expand_bias.dims() != [c]
        {
            let shapes = parts.map(|t| t.dims().to_vec());
            bail!("squeeze-and-excitation: {shapes:?} do not fit {} means", mean.len())
        }
        let parts = parts.map(|t| t.contiguous());
        let parts = parts.into_iter().collect::<Result<Vec<_>>>()?;
        with_slices(&parts, |parts| {
            mean.chunks_exact(c)
                .flat_map(|mean| {
                    let mut squeezed = parts[1].to_vec();
                    dense(parts[0], mean, self.activation, &mut squeezed);
                    let mut gate = parts[3].to_vec();
                    dense(parts[2], &squeezed, Activation::Sigmoid, &mut gate);
                    gate
                })
                .collect()
        })
    }
}

dispatch!(
    /// `y = act(w x + y)`, `w` (y, x) row-major.
    fn dense(w: &[f32], x: &[f32], activation: Activation, y: &mut [f32]) = dense_body
);
#[inline(always)]
fn dense_body<I: Isa>(w: &[f32], x: &[f32], activation: Activation, y: &mut [f32]) {
    for (w, y) in w.chunks_exact(x.len().max(1)).zip(y.iter_mut()) {
        *y += row::dot::<I>(w, x);
    }
    for part in y.chunks_mut(I::V::LANES) {
        // SAFETY: `part` holds that many lanes.
        unsafe {
            let x = I::V::load_part(part.as_ptr(), part.len());
            activation.of(x).store_part(part.as_mut_ptr(), part.len());
        }
    }
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
