//! Products by matrix tiles: both matrices in `P` parts of bfloat16, two or three, of whose products
//! three or six are made, and sums in `f32`. How exact that is: [`crate::rounding`].

use crate::activation::Activation;
use crate::isa::{Avx512, Isa};
use crate::matrix::Matrix;
use crate::packed::{Line, as_floats_mut};
use crate::product::{Epilogue, Right};
use crate::simd::Vector;
use crate::tile_parts::{split_left, steps};
use crate::tiles::{FLOATS, SIDE, Tiles};
use std::cell::RefCell;
use std::ops::Range;

type V = <Avx512 as Isa>::V;

/// Columns of the widest panel, in tiles.
pub(crate) const PANEL: usize = 2;

/// As [`crate::product::product_raw`], whose checks are made, of panels in tiles.
///
/// # Safety
/// Tiles are available, and AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(crate) unsafe fn tile_product<const P: usize>(
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
        left.resize(left.len().max(steps * P * 2 * FLOATS / Line::FLOATS), Line::ZERO);
        let left = as_floats_mut(left).as_mut_ptr();
        let to = Output { dst, stride, then };
        // SAFETY: the caller's.
        unsafe {
            let tiles = Tiles::take();
            for first in (0..a.rows).step_by(2 * SIDE) {
                let count = (a.rows - first).min(2 * SIDE);
                if count > SIDE {
                    split_left::<P>(left, a, first..first + count, 2);
                    panels::<P, 2>(&tiles, &to, (first, count), left, steps, right);
                } else {
                    split_left::<P>(left, a, first..first + count, 1);
                    panels::<P, 1>(&tiles, &to, (first, count), left, steps, right);
                }
            }
        }
    });
}

/// Where sums go, and what is added to them.
struct Output<'a> {
    dst: *mut f32,
    stride: usize,
    then: &'a Epilogue<'a>,
}

/// `R` tiles of rows, whose parts are at `left`, times every panel.
#[inline(always)]
unsafe fn panels<const P: usize, const R: usize>(
    tiles: &Tiles,
    to: &Output,
    rows: (usize, usize),
    left: *const f32,
    steps: usize,
    right: &Right,
) {
    let mut memory = [[Line::ZERO; 4 * FLOATS / Line::FLOATS]; 2];
    let [mut sums, mut before] = memory.each_mut().map(|m| as_floats_mut(m).as_mut_ptr());
    let mut waiting = None;
    for panel in right.panels {
        let first = panel.column - right.first;
        let columns = first..(first + panel.vectors * V::LANES).min(right.columns);
        let b = right.b.wrapping_add(panel.at);
        // SAFETY: the caller's.
        unsafe {
            if panel.vectors == PANEL {
                panel_sums::<P, R, 2>(tiles, left, b, steps, &mut waiting, to);
            } else {
                panel_sums::<P, R, 1>(tiles, left, b, steps, &mut waiting, to);
            }
            tiles.store(sums);
        }
        waiting = Some(Waiting { sums, tiles: (R, panel.vectors), rows, columns });
        (sums, before) = (before, sums);
    }
    if let Some(waiting) = &mut waiting {
        // SAFETY: the caller's.
        unsafe { waiting.finish(to) };
    }
}

/// The sums of a panel. Tiles work beside the rest of a core, so the sums of the panel before are
/// finished between the steps of these.
#[inline(always)]
unsafe fn panel_sums<const P: usize, const R: usize, const C: usize>(
    tiles: &Tiles,
    left: *const f32,
    right: *const f32,
    steps: usize,
    waiting: &mut Option<Waiting>,
    to: &Output,
) {
    tiles.clear();
    for step in 0..steps {
        let left_at = |step: usize| left.wrapping_add(step * P * R * FLOATS);
        let b = right.wrapping_add(step * P * C * FLOATS);
        // After the last one of this panel comes the first one again, for the next panel.
        let next = left_at(if step + 1 == steps { 0 } else { step + 1 });
        // SAFETY: the caller's.
        unsafe {
            tiles.add::<P, R, C>(left_at(step), b, next);
            if let Some(waiting) = waiting {
                waiting.finish_some(to);
            }
        }
    }
    if let Some(waiting) = waiting {
        // SAFETY: the caller's.
        unsafe { waiting.finish(to) };
    }
}

/// Sums in memory that have yet to be finished.
struct Waiting {
    sums: *const f32,
    /// Of rows and of columns.
    tiles: (usize, usize),
    /// The first row, and how many.
    rows: (usize, usize),
    columns: Range<usize>,
}

impl Waiting {
    /// Rows that are finished between two steps.
    const ROWS: usize = 8;

    #[inline(always)]
    unsafe fn finish_some(&mut self, to: &Output) {
        let (first, left) = self.rows;
        let count = left.min(Self::ROWS);
        if count == 0 {
            return;
        }
        let rows = (first, count);
        // SAFETY: the caller's.
        unsafe {
            match self.tiles {
                (2, 2) => finish::<2, 2>(self.sums, to, rows, &self.columns),
                (2, _) => finish::<2, 1>(self.sums, to, rows, &self.columns),
                (_, 2) => finish::<1, 2>(self.sums, to, rows, &self.columns),
                _ => finish::<1, 1>(self.sums, to, rows, &self.columns),
            }
        }
        self.rows = (first + count, left - count);
        self.sums = self.sums.wrapping_add(count * PANEL * SIDE);
    }

    #[inline(always)]
    unsafe fn finish(&mut self, to: &Output) {
        while self.rows.1 > 0 {
            // SAFETY: the caller's.
            unsafe { self.finish_some(to) };
        }
    }
}

/// What follows the sums, in a loop of its own for each activation that is common.
#[inline(always)]
unsafe fn finish<const R: usize, const N: usize>(
    sums: *const f32,
    to: &Output,
    rows: (usize, usize),
    columns: &Range<usize>,
) {
    // SAFETY: the caller's.
    unsafe {
        match to.then.activation {
            Activation::Identity => {
                finish_rows::<R, N>(sums, to, rows, columns, Activation::Identity)
            }
            Activation::Relu => finish_rows::<R, N>(sums, to, rows, columns, Activation::Relu),
            other => finish_rows::<R, N>(sums, to, rows, columns, other),
        }
    }
}

/// Adds to the sums of rows `first..first + count` what follows them, and stores them.
#[inline(always)]
unsafe fn finish_rows<const R: usize, const N: usize>(
    sums: *const f32,
    to: &Output,
    (first, count): (usize, usize),
    columns: &Range<usize>,
    activation: Activation,
) {
    // Copies, for what is stored below might be what a reference points to.
    let (dst, stride) = (to.dst, to.stride);
    let Epilogue { bias, rows: added, accumulate, .. } = *to.then;
    let repeat = added.map_or(1, |rows| rows.repeat);
    let begin = (first / repeat, first % repeat);
    for v in 0..N {
        let column = columns.start + v * V::LANES;
        let lanes = V::LANES.min(columns.end - column);
        let whole = lanes == V::LANES;
        // SAFETY: `lanes` of every operand from `column` are within its checked extent.
        unsafe {
            let load = |p: *const f32| if whole { V::load(p) } else { V::load_part(p, lanes) };
            let bias = match bias {
                Some(bias) => load(bias.as_ptr().add(column)),
                None => V::splat(0.0),
            };
            let (mut row, mut within) = begin;
            let mut at = dst.add(first * stride + column);
            for r in 0..count {
                let sum = |r: usize, v: usize| V::load(sums.wrapping_add((r * PANEL + v) * SIDE));
                let mut y = sum(r, v).add(bias);
                // Sums that were made in more tiles than they fill.
                if N == 1 {
                    y = y.add(sum(r, 1));
                }
                if R == 1 {
                    y = y.add(sum(r + SIDE, v));
                }
                if N == 1 && R == 1 {
                    y = y.add(sum(r + SIDE, 1));
                }
                if let Some(added) = &added {
                    y = y.add(load(added.data.as_ptr().add(row * added.stride + column)));
                    within += 1;
                    if within == repeat {
                        (row, within) = (row + 1, 0);
                    }
                }
                if accumulate {
                    y = y.add(load(at));
                }
                let y = activation.of(y);
                if whole {
                    y.store(at);
                } else {
                    y.store_part(at, lanes);
                }
                at = at.wrapping_add(stride);
            }
        }
    }
}
