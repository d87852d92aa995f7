//! Patches of a map as rows of a matrix, so that a dense convolution is a product.

use crate::conv::Padding;
use candle_core::{Result, bail};
use std::cell::RefCell;

/// The geometry of a convolution over channels-last maps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) batch: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    pub(crate) kernel: (usize, usize),
    pub(crate) stride: usize,
    pub(crate) top: usize,
    pub(crate) left: usize,
    pub(crate) out_height: usize,
    pub(crate) out_width: usize,
}

impl Window {
    /// The windows of a map (B, H, W, C).
    pub(crate) fn new(
        (batch, height, width, channels): (usize, usize, usize, usize),
        (kh, kw): (usize, usize),
        stride: usize,
        padding: Padding,
    ) -> Result<Self> {
        if stride == 0 {
            bail!("convolution: stride must be at least 1")
        }
        let (top, bottom) = padding.around(height, kh, stride);
        let (left, right) = padding.around(width, kw, stride);
        if height + top + bottom < kh || width + left + right < kw {
            bail!("convolution: an input of {height}x{width} is smaller than the {kh}x{kw} window")
        }
        Ok(Self {
            batch,
            height,
            width,
            channels,
            kernel: (kh, kw),
            stride,
            top,
            left,
            out_height: (height + top + bottom - kh) / stride + 1,
            out_width: (width + left + right - kw) / stride + 1,
        })
    }

    /// Zeros after the last row and the last column that a window reaches.
    pub(crate) fn after(&self) -> (usize, usize) {
        let reach = |n: usize, kernel: usize, before: usize, len: usize| {
            ((n - 1) * self.stride + kernel).saturating_sub(before + len)
        };
        (
            reach(self.out_height, self.kernel.0, self.top, self.height),
            reach(self.out_width, self.kernel.1, self.left, self.width),
        )
    }

    pub(crate) fn patch_len(&self) -> usize {
        self.kernel.0 * self.kernel.1 * self.channels
    }

    /// The input already is the matrix of patches.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.kernel == (1, 1) && self.stride == 1 && self.top == 0 && self.left == 0
    }

    /// The taps `k` of a window at output `o` that fall inside an input of `len` pixels.
    #[inline(always)]
    pub(crate) fn taps(
        o: usize,
        stride: usize,
        pad: usize,
        kernel: usize,
        len: usize,
    ) -> (usize, usize) {
        let start = o * stride;
        let first = pad.saturating_sub(start).min(kernel);
        let last = (len + pad).saturating_sub(start).min(kernel);
        (first, last.max(first))
    }
}

/// Runs `f` on rows `first..first + rows` of the matrix (B * H' * W', KH * KW * C) of patches of
/// `x`, made in memory that the thread keeps.
pub(crate) fn with_patches<R>(
    x: &[f32],
    w: &Window,
    first: usize,
    rows: usize,
    f: impl FnOnce(&[f32]) -> R,
) -> R {
    thread_local! {
        static PATCHES: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
    }
    PATCHES.with_borrow_mut(|patches| {
        patches.clear();
        gather(x, w, first, rows, patches);
        f(patches)
    })
}

fn gather(x: &[f32], w: &Window, first: usize, rows: usize, out: &mut Vec<f32>) {
    let (c, (kh, kw)) = (w.channels, w.kernel);
    out.reserve(rows * w.patch_len());
    for pixel in first..first + rows {
        let (ow, rest) = (pixel % w.out_width, pixel / w.out_width);
        let (oh, image) = (rest % w.out_height, rest / w.out_height);
        let (h0, h1) = Window::taps(oh, w.stride, w.top, kh, w.height);
        let (w0, w1) = Window::taps(ow, w.stride, w.left, kw, w.width);
        let row_len = kw * c;
        out.resize(out.len() + h0 * row_len, 0.0);
        for i in h0..h1 {
            let y = oh * w.stride + i - w.top;
            out.resize(out.len() + w0 * c, 0.0);
            if w1 > w0 {
                let at = ((image * w.height + y) * w.width + ow * w.stride + w0 - w.left) * c;
                out.extend_from_slice(&x[at..at + (w1 - w0) * c]);
            }
            out.resize(out.len() + (kw - w1) * c, 0.0);
        }
        out.resize(out.len() + (kh - h1) * row_len, 0.0);
    }
}
