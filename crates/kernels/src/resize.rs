//! Bilinear resizing with aligned corners, as PyTorch's `interpolate(align_corners=True)`.

use crate::fill::par_fill;
use crate::isa::{Isa, dispatch};
use crate::storage::with_slice;
use candle_core::{DType, Device, Result, Tensor, bail};

/// `x` (B, H, W, C) to (B, height, width, C). It has no gradient; other devices' tensors are
/// brought to the CPU and back.
///
/// # Errors
/// An empty input or output.
pub fn resize_bilinear(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let (b, h, w, c) = x.dims4()?;
    if h * w * c == 0 || height * width == 0 {
        bail!("bilinear resizing: from {h}x{w} to {height}x{width} pixels of {c} channels")
    }
    let host = x.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
    let columns = taps(w, width);
    let rows = taps(h, height);
    let out = with_slice("bilinear resizing", &host, |x| {
        Ok(par_fill(b * height * width * c, width * c, |tile, blank| {
            let out = blank.zeros();
            let image = &x[tile / height * h * w * c..][..h * w * c];
            let (top, bottom, fraction) = rows[tile % height];
            let pair = (&image[top * w * c..][..w * c], &image[bottom * w * c..][..w * c]);
            mix_row(out, pair, fraction, &columns, c);
            out
        }))
    })?;
    Tensor::from_vec(out, (b, height, width, c), &Device::Cpu)?
        .to_dtype(x.dtype())?
        .to_device(x.device())
}

/// The same of one plane (`h` x `w`), on slices.
pub fn resize_bilinear_plane(
    x: &[f32],
    h: usize,
    w: usize,
    height: usize,
    width: usize,
) -> Vec<f32> {
    assert_eq!(x.len(), h * w, "a plane of {h}x{w}");
    let columns = taps(w, width);
    let mut out = vec![0.0; height * width];
    for ((top, bottom, fraction), out) in
        taps(h, height).into_iter().zip(out.chunks_exact_mut(width))
    {
        mix_row(out, (&x[top * w..][..w], &x[bottom * w..][..w]), fraction, &columns, 1);
    }
    out
}

/// For each of `to` pixels: the two of `from` it lies between, and how far from the first.
fn taps(from: usize, to: usize) -> Vec<(usize, usize, f32)> {
    // PyTorch computes the scale in f32; a wider type would round some positions differently.
    let scale = if to > 1 { (from - 1) as f32 / (to - 1) as f32 } else { 0.0 };
    (0..to)
        .map(|i| {
            let at = scale * i as f32;
            let low = (at as usize).min(from - 1);
            (low, (low + 1).min(from - 1), at - low as f32)
        })
        .collect()
}

dispatch!(fn mix_row(out: &mut [f32], pair: (&[f32], &[f32]), fraction: f32, columns: &[(usize, usize, f32)], c: usize) = mix_row_body);
#[inline(always)]
fn mix_row_body<I: Isa>(
    out: &mut [f32],
    (top, bottom): (&[f32], &[f32]),
    fraction: f32,
    columns: &[(usize, usize, f32)],
    c: usize,
) {
    let (f0, f1) = (1.0 - fraction, fraction);
    for (out, &(l, r, g)) in out.chunks_exact_mut(c).zip(columns) {
        let (g0, g1) = (1.0 - g, g);
        let (a, b) = (&top[l * c..][..c], &top[r * c..][..c]);
        let (d, e) = (&bottom[l * c..][..c], &bottom[r * c..][..c]);
        for (i, o) in out.iter_mut().enumerate() {
            *o = f0 * (g0 * a[i] + g1 * b[i]) + f1 * (g0 * d[i] + g1 * e[i]);
        }
    }
}
