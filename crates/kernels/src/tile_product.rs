//! Products by matrix tiles: both matrices in digits (see [`crate::tile_digits`]), of whose nine
//! products six are made, summed by their place.
//!
//! The mean error of sums of 56 to 712 terms, by their mean magnitude: of normal numbers 2.4e-7 to
//! 3.5e-7, where sums of `f32` have 1.2e-7 to 4.3e-7; of uniform ones 1.5e-7, where those have 1.2e-7 to
//! 4.3e-7. It is by the largest number of a row or column, so tails make it larger: of normal numbers
//! times the exponential of others, on both sides, 0.9e-6 to 3.5e-6.

use crate::activation::Activation;
use crate::isa::{Avx512, Isa};
use crate::matrix::Matrix;
use crate::packed::{Line, as_floats_mut};
use crate::product::{Epilogue, Right};
use crate::simd::{Vector, prefetch};
use crate::tile_digits::{split_left, steps};
use crate::tiles::{Beside, DIGITS, FLOATS, SIDE, Tiles};
use std::cell::RefCell;
use std::ops::Range;

type V = <Avx512 as Isa>::V;

/// As [`crate::product::product_raw`], whose checks are made, of panels in tiles.
///
/// # Safety
/// Tiles are available, and AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(crate) unsafe fn tile_product(
    dst: *mut f32,
    stride: usize,
    a: &Matrix,
    right: &Right,
    then: &Epilogue,
) {
    thread_local! {
        static LEFT: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
    }
    LEFT.with_borrow_mut(|left| {
        let steps = steps(a.cols);
        left.resize(left.len().max(steps * DIGITS * FLOATS / Line::FLOATS), Line::ZERO);
        let left = as_floats_mut(left).as_mut_ptr();
        let mut scales = [0.0; SIDE];
        let mut memory = [[Line::ZERO; DIGITS * FLOATS / Line::FLOATS]; 2];
        let [mut sums, mut before] = memory.each_mut().map(|m| as_floats_mut(m).as_mut_ptr());
        let mut waiting = Waiting::none(dst, stride, then, steps);
        // SAFETY: the caller's.
        unsafe {
            let tiles = Tiles::take();
            for first in (0..a.rows).step_by(SIDE) {
                let (rows, next) = (first..a.rows.min(first + SIDE), first + SIDE);
                // Their scales are read until their last sums are finished.
                waiting.finish();
                split_left(left, scales.as_mut_ptr(), a, first);
                for panel in right.panels {
                    let (b, column) = (right.b.wrapping_add(panel.at), panel.column - right.first);
                    if next < a.rows {
                        fetch(dst, stride, next..a.rows.min(next + SIDE), column);
                        if let Some(of) = &then.rectified {
                            let rows = next..a.rows.min(next + SIDE);
                            fetch(of.data.as_ptr(), of.stride, rows, column);
                        }
                    }
                    tiles.clear();
                    for step in 0..steps {
                        let at = step * DIGITS * FLOATS;
                        tiles.add(left.add(at), b.add(at), &mut waiting);
                    }
                    tiles.store(sums);
                    waiting.finish();
                    let scales = (scales.as_ptr(), b.add(steps * DIGITS * FLOATS));
                    waiting.begin(sums, scales, rows.clone(), (column, right.columns));
                    (sums, before) = (before, sums);
                }
            }
            waiting.finish();
        }
    });
}

/// Asks for the cache line at `column` of some rows: for what the sums of the next rows go to or meet,
/// which is rarely in cache, while those of these are made.
#[inline(always)]
fn fetch(at: *const f32, stride: usize, rows: Range<usize>, column: usize) {
    rows.for_each(|row| prefetch(at.wrapping_add(row * stride + column), true));
}

/// Sums of a tile in memory that have yet to be finished: what follows them is added row by row,
/// beside the tiles' next sums.
struct Waiting<'a> {
    /// Of the next row, as are the other pointers but `dst`.
    sums: *const f32,
    scale: *const f32,
    to: *mut f32,
    added: *const f32,
    /// Rows until the next one of `added`.
    within: usize,
    rectified: *const f32,
    rows: usize,
    /// Rows that are finished together.
    at_once: usize,
    scale_of_columns: V,
    bias: V,
    /// Columns within the product.
    lanes: u16,
    dst: *mut f32,
    stride: usize,
    then: &'a Epilogue<'a>,
}

impl<'a> Waiting<'a> {
    /// Of a product whose sums are made in so many steps.
    fn none(dst: *mut f32, stride: usize, then: &'a Epilogue<'a>, steps: usize) -> Self {
        let none = V::splat(0.0);
        Self {
            sums: std::ptr::null(),
            scale: std::ptr::null(),
            to: std::ptr::null_mut(),
            added: std::ptr::null(),
            within: 0,
            rectified: std::ptr::null(),
            rows: 0,
            // So that all are finished when the next ones are made.
            at_once: SIDE.div_ceil(6 * steps),
            scale_of_columns: none,
            bias: none,
            lanes: 0,
            dst,
            stride,
            then,
        }
    }

    /// Sums of `rows` and of columns `column..`, of `columns` in all; scales of the rows and columns.
    #[inline(always)]
    unsafe fn begin(
        &mut self,
        sums: *const f32,
        (of_rows, of_columns): (*const f32, *const f32),
        rows: Range<usize>,
        (column, columns): (usize, usize),
    ) {
        let lanes = V::LANES.min(columns - column);
        // SAFETY: `lanes` of every operand from `column` are within its checked extent.
        unsafe {
            self.sums = sums;
            self.scale = of_rows;
            self.rows = rows.len();
            self.scale_of_columns = V::load(of_columns);
            self.lanes = ((1u32 << lanes) - 1) as u16;
            self.to = self.dst.add(rows.start * self.stride + column);
            if let Some(bias) = self.then.bias {
                self.bias = V::load_masked(bias.as_ptr().add(column), self.lanes);
            }
            if let Some(added) = &self.then.rows {
                let row = rows.start / added.repeat;
                self.added = added.data.as_ptr().add(row * added.stride + column);
                self.within = added.repeat - rows.start % added.repeat;
            }
            if let Some(left) = &self.then.rectified {
                self.rectified = left.data.as_ptr().add(rows.start * left.stride + column);
            }
        }
    }

    #[inline(always)]
    unsafe fn finish(&mut self) {
        while self.rows > 0 {
            // SAFETY: the caller's.
            unsafe { self.some() };
        }
    }
}

impl Beside for Waiting<'_> {
    #[inline(always)]
    unsafe fn some(&mut self) {
        let count = self.at_once.min(self.rows);
        self.rows -= count;
        for _ in 0..count {
            // SAFETY: the caller's.
            unsafe {
                let place = |place: usize| {
                    V::load_whole(self.sums.cast::<i32>().wrapping_add(place * FLOATS))
                };
                let next = V::splat(1.0 / 256.0);
                let sum = place(2).mul_add(next, place(1)).mul_add(next, place(0));
                let sum = sum.mul(V::splat(*self.scale));
                let mut y = sum.mul_add(self.scale_of_columns, self.bias);
                if let Some(added) = &self.then.rows {
                    y = y.add(V::load_masked(self.added, self.lanes));
                    self.within -= 1;
                    if self.within == 0 {
                        self.within = added.repeat;
                        self.added = self.added.wrapping_add(added.stride);
                    }
                }
                if self.then.accumulate {
                    y = y.add(V::load_masked(self.to, self.lanes));
                }
                let y = match self.then.activation {
                    Activation::Identity => y,
                    Activation::Relu => Activation::Relu.of(y),
                    other => other.of(y),
                };
                let y = match &self.then.rectified {
                    Some(left) => {
                        let y = y.where_nonzero(V::load_masked(self.rectified, self.lanes));
                        self.rectified = self.rectified.wrapping_add(left.stride);
                        y
                    }
                    None => y,
                };
                y.store_masked(self.to, self.lanes);
            }
            self.sums = self.sums.wrapping_add(SIDE);
            self.scale = self.scale.wrapping_add(1);
            self.to = self.to.wrapping_add(self.stride);
        }
    }
}
