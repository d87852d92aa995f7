//! Output buffers filled tile by tile in parallel, without writing zeros first.

use crate::matrix::Matrix;
use crate::packed::Packed;
use crate::product::{Epilogue, product_raw};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// A part of a buffer that has not been written yet.
pub(crate) struct Blank<'a>(&'a mut [MaybeUninit<f32>]);

impl<'a> Blank<'a> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Copies row `row(i)` to the `i`-th run of `width` elements.
    pub(crate) fn rows<'r>(self, width: usize, row: impl Fn(usize) -> &'r [f32]) -> &'a mut [f32] {
        assert!(width > 0 && self.0.len().is_multiple_of(width));
        for (i, part) in self.0.chunks_exact_mut(width).enumerate() {
            part.write_copy_of_slice(row(i));
        }
        // SAFETY: the chunks cover the slice and each was written.
        unsafe { assume_written(self.0) }
    }

    /// Element `i` becomes `f(i)`.
    pub(crate) fn each(self, f: impl Fn(usize) -> f32) -> &'a mut [f32] {
        for (i, e) in self.0.iter_mut().enumerate() {
            e.write(f(i));
        }
        // SAFETY: every element was written.
        unsafe { assume_written(self.0) }
    }

    /// The product of `a` and `b`, and what follows it.
    pub(crate) fn product(self, a: Matrix, b: &Packed, then: &Epilogue) -> &'a mut [f32] {
        let n = b.columns();
        assert!(!then.accumulate && self.0.len() == a.rows * n);
        // SAFETY: the blank holds the whole product, which writes every element of it.
        unsafe {
            product_raw(self.0.as_mut_ptr().cast(), n, a, b, &b.all(), then);
            assume_written(self.0)
        }
    }

    /// Zeros.
    pub(crate) fn zeros(self) -> &'a mut [f32] {
        self.each(|_| 0.0)
    }
}

unsafe fn assume_written(part: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    // SAFETY: the caller has written every element; the layouts are the same.
    unsafe { &mut *(part as *mut [MaybeUninit<f32>] as *mut [f32]) }
}

/// A vector of `len` elements whose tiles of `tile` elements are made in parallel. `fill` gets
/// the tile's index and must hand the tile back written, which only [`Blank`]'s methods can do.
pub(crate) fn par_fill<F>(len: usize, tile: usize, fill: F) -> Vec<f32>
where
    F: for<'a> Fn(usize, Blank<'a>) -> &'a mut [f32] + Sync,
{
    let tile = tile.max(1);
    par_fill_parts(len, (0..len.div_ceil(tile)).map(|i| tile.min(len - i * tile)), fill)
}

/// The same with tiles of the given lengths, whose sum is `len`.
pub(crate) fn par_fill_parts<F>(
    len: usize,
    lengths: impl Iterator<Item = usize>,
    fill: F,
) -> Vec<f32>
where
    F: for<'a> Fn(usize, Blank<'a>) -> &'a mut [f32] + Sync,
{
    let mut out: Vec<f32> = Vec::with_capacity(len);
    let mut spare = &mut out.spare_capacity_mut()[..len];
    let mut parts = Vec::new();
    for length in lengths {
        let (part, rest) = spare.split_at_mut(length);
        parts.push(part);
        spare = rest;
    }
    assert!(spare.is_empty(), "tiles cover the whole buffer");
    parts.into_par_iter().enumerate().for_each(|(i, part)| {
        let n = part.len();
        let written = fill(i, Blank(part));
        assert_eq!(written.len(), n);
    });
    // SAFETY: every tile came back written, and together they are the first `len` elements.
    unsafe { out.set_len(len) };
    out
}
