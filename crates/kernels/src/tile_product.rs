//! Products by matrix tiles: both matrices in three parts of bfloat16, six of the nine products of
//! parts, sums in `f32`. What is left out is below the last place of a product of `f32`, so sums are
//! as exact as those of multiply-adds; the tiles take a sixth of the time a part.

use crate::isa::Avx512;
use crate::isa::Isa;
use crate::matrix::Matrix;
use crate::packed::{Line, as_floats_mut};
use crate::product::{Epilogue, Right};
use crate::register_block::{Block, finish};
use crate::simd::Vector;
use crate::tile_parts::{split_left, steps};
use crate::tiles::{FLOATS, PARTS, SIDE, Tiles};
use std::cell::RefCell;

type V = <Avx512 as Isa>::V;

/// Columns of the widest panel, in tiles.
pub(crate) const PANEL: usize = 2;

/// Whether a product with a right matrix (K, N) is faster by tiles.
pub(crate) fn pays(k: usize, n: usize) -> bool {
    k >= 16 && n >= 16
}

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
        left.resize(left.len().max(steps * PARTS * 2 * FLOATS / Line::FLOATS), Line::ZERO);
        let left = as_floats_mut(left).as_mut_ptr();
        // SAFETY: the caller's.
        unsafe {
            let tiles = Tiles::take();
            for first in (0..a.rows).step_by(2 * SIDE) {
                let count = (a.rows - first).min(2 * SIDE);
                let rows = first..first + count;
                if count > SIDE {
                    split_left(left, a, rows, 2);
                    panels::<2>(&tiles, dst, stride, (first, count), left, steps, right, then);
                } else {
                    split_left(left, a, rows, 1);
                    panels::<1>(&tiles, dst, stride, (first, count), left, steps, right, then);
                }
            }
        }
    });
}

/// `R` tiles of rows times every panel.
#[inline(always)]
unsafe fn panels<const R: usize>(
    tiles: &Tiles,
    dst: *mut f32,
    stride: usize,
    rows: (usize, usize),
    left: *const f32,
    steps: usize,
    right: &Right,
    then: &Epilogue,
) {
    let mut memory = [Line::ZERO; 4 * FLOATS / Line::FLOATS];
    let sums = as_floats_mut(&mut memory).as_mut_ptr();
    for panel in right.panels {
        let column = panel.column - right.first;
        let b = right.b.wrapping_add(panel.at);
        let columns = (panel.vectors * V::LANES).min(right.columns - column);
        let block = Block { b, ahead: 0, column, columns };
        // SAFETY: the caller's.
        unsafe {
            if panel.vectors == PANEL {
                tiles.sums::<R, 2>(left, b, steps, sums);
                finish_rows::<R, 2>(sums, dst, stride, rows, &block, then);
            } else {
                tiles.sums::<R, 1>(left, b, steps, sums);
                finish_rows::<R, 1>(sums, dst, stride, rows, &block, then);
            }
        }
    }
}

/// What follows the sums, some rows at a time.
#[inline(always)]
unsafe fn finish_rows<const R: usize, const N: usize>(
    sums: *const f32,
    dst: *mut f32,
    stride: usize,
    (first, count): (usize, usize),
    block: &Block,
    then: &Epilogue,
) {
    const ROWS: usize = 8;
    const WIDTH: usize = PANEL * SIDE;
    for at in (0..count).step_by(ROWS) {
        // SAFETY: the caller's.
        unsafe {
            let load = |r: usize, v: usize| V::load(sums.add(r * WIDTH + v * SIDE));
            let sums: [[V; N]; ROWS] = std::array::from_fn(|r| {
                std::array::from_fn(|v| {
                    let mut sum = load(at + r, v);
                    // Sums that were made in more tiles than they fill.
                    if N == 1 {
                        sum = sum.add(load(at + r, 1));
                    }
                    if R == 1 {
                        sum = sum.add(load(at + r + SIDE, v));
                    }
                    if N == 1 && R == 1 {
                        sum = sum.add(load(at + r + SIDE, 1));
                    }
                    sum
                })
            });
            let count = (count - at).min(ROWS);
            finish::<V, ROWS, N>(&sums, dst, stride, (first + at, count), block, then);
        }
    }
}
