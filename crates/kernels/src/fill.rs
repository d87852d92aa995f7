//! Output buffers filled tile by tile in parallel, without writing zeros first.

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
    let mut out: Vec<f32> = Vec::with_capacity(len);
    let spare = &mut out.spare_capacity_mut()[..len];
    spare.par_chunks_mut(tile.max(1)).enumerate().for_each(|(i, part)| {
        let n = part.len();
        let written = fill(i, Blank(part));
        assert_eq!(written.len(), n);
    });
    // SAFETY: every tile came back written, and together they are the first `len` elements.
    unsafe { out.set_len(len) };
    out
}
