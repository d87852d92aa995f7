//! A transformer's learned position embedding on a grid of another size.

use crate::BackboneError;
use candle_core::{Device, Tensor};

/// `table` (G, G, C) on a grid of `height` x `width`, (height, width, C): by Keys' cubic with
/// a = -1/2, stretched by the scale where the grid becomes coarser, as PyTorch's
/// `interpolate(mode="bicubic", antialias=True)` and so timm's `resample_abs_pos_embed`.
pub(crate) fn resample(
    table: &Tensor,
    height: usize,
    width: usize,
) -> Result<Tensor, BackboneError> {
    let (from_height, from_width, c) = table.dims3()?;
    if (height, width) == (from_height, from_width) {
        return Ok(table.clone());
    }
    let matrix = |from: usize, to: usize| {
        Tensor::from_vec(windows(from, to), (to, from), &Device::Cpu)?.to_dtype(table.dtype())
    };
    let wide = matrix(from_width, width)?.unsqueeze(0)?.broadcast_matmul(table)?;
    let tall = matrix(from_height, height)?.matmul(&wide.reshape((from_height, width * c))?)?;
    Ok(tall.reshape((height, width, c))?)
}

/// Weights (to, from), row-major: what each of `to` positions takes of each of `from`.
fn windows(from: usize, to: usize) -> Vec<f64> {
    let scale = from as f64 / to as f64;
    let stretch = scale.max(1.0);
    let mut out = vec![0.0; from * to];
    for (i, row) in out.chunks_exact_mut(from).enumerate() {
        let center = scale * (i as f64 + 0.5);
        for (j, weight) in row.iter_mut().enumerate() {
            *weight = cubic((j as f64 + 0.5 - center) / stretch);
        }
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|w| *w /= sum);
    }
    out
}

/// Keys' cubic convolution kernel with a = -1/2 (IEEE Trans. ASSP 1981).
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        A * (((x - 5.0) * x + 8.0) * x - 4.0)
    } else {
        0.0
    }
}
