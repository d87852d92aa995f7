//! Depthwise convolution on channels-last maps: vectors run over channels.

use crate::activation::Activation;
use crate::fill::par_fill;
use crate::im2col::Window;
use crate::isa::{Isa, dispatch};

/// `weight` (KH * KW, C), `bias` (C); one task makes one row of the output.
pub(crate) fn depthwise(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    residual: Option<&[f32]>,
    activation: Activation,
    w: &Window,
) -> Vec<f32> {
    let row = w.out_width * w.channels;
    let total = w.batch * w.out_height * row;
    par_fill(total, row, |tile, blank| {
        let out = blank.rows(w.channels, |_| bias);
        let (image, oh) = (tile / w.out_height, tile % w.out_height);
        let plane = w.height * w.width * w.channels;
        output_row(&x[image * plane..(image + 1) * plane], weight, out, oh, w);
        if let Some(r) = residual {
            out.iter_mut().zip(&r[tile * row..]).for_each(|(o, r)| *o += r);
        }
        activation.apply(out);
        out
    })
}

dispatch!(fn output_row(x: &[f32], weight: &[f32], out: &mut [f32], oh: usize, w: &Window) = output_row_body);
#[inline(always)]
fn output_row_body<I: Isa>(x: &[f32], weight: &[f32], out: &mut [f32], oh: usize, w: &Window) {
    let (c, (kh, kw)) = (w.channels, w.kernel);
    let (h0, h1) = Window::taps(oh, w.stride, w.top, kh, w.height);
    for (ow, out) in out.chunks_exact_mut(c).enumerate() {
        let (w0, w1) = Window::taps(ow, w.stride, w.left, kw, w.width);
        // 32 channels at a time, so that the sums stay in registers over all taps.
        let mut at = 0;
        while at < c {
            let n = if c - at >= LANES { LANES } else { c - at };
            let mut acc = [0.0f32; LANES];
            acc[..n].copy_from_slice(&out[at..at + n]);
            for i in h0..h1 {
                let y = oh * w.stride + i - w.top;
                for j in w0..w1 {
                    let column = ow * w.stride + j - w.left;
                    let x = &x[(y * w.width + column) * c + at..][..n];
                    let k = &weight[(i * kw + j) * c + at..][..n];
                    if n == LANES {
                        let (x, k): (&[f32; LANES], &[f32; LANES]) =
                            (x.try_into().unwrap(), k.try_into().unwrap());
                        for l in 0..LANES {
                            acc[l] = I::madd(x[l], k[l], acc[l]);
                        }
                    } else {
                        for l in 0..n {
                            acc[l] = I::madd(x[l], k[l], acc[l]);
                        }
                    }
                }
            }
            out[at..at + n].copy_from_slice(&acc[..n]);
            at += n;
        }
    }
}

const LANES: usize = 32;
