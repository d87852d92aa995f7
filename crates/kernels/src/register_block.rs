//! The innermost part of a product: some rows times a panel of columns, sums in registers over the
//! whole inner dimension.

use crate::activation::Activation;
use crate::isa::Isa;
use crate::matrix::Matrix;
use crate::product::Epilogue;
use crate::simd::{Vector, opaque, prefetch};

/// One panel of the right matrix.
pub(crate) struct Block {
    pub(crate) b: *const f32,
    /// The panel after it is that many floats further; 0 if none is to be fetched ahead.
    pub(crate) ahead: usize,
    /// Where it begins in the output.
    pub(crate) column: usize,
    /// How many of its columns there are.
    pub(crate) columns: usize,
}

/// All rows of `a` times one panel of `vectors` vectors, into its columns of `dst`.
#[inline(always)]
pub(crate) fn column_panel<I: Isa>(
    dst: *mut f32,
    stride: usize,
    a: &Matrix,
    block: &Block,
    vectors: usize,
    then: &Epilogue,
) {
    // Rows and vectors that fill the registers: sums, the panel's row, one number of the left.
    if I::WIDE {
        match vectors {
            3 => rows::<I::V, 8, 3>(dst, stride, a, block, then),
            2 => rows::<I::V, 12, 2>(dst, stride, a, block, then),
            _ => rows::<I::V, 16, 1>(dst, stride, a, block, then),
        }
    } else {
        match vectors {
            2 => rows::<I::V, 6, 2>(dst, stride, a, block, then),
            _ => rows::<I::V, 8, 1>(dst, stride, a, block, then),
        }
    }
}

#[inline(always)]
fn rows<V: Vector, const R: usize, const N: usize>(
    dst: *mut f32,
    stride: usize,
    a: &Matrix,
    block: &Block,
    then: &Epilogue,
) {
    for first in (0..a.rows).step_by(R) {
        let count = R.min(a.rows - first);
        // Of every few rows of the next panel each block of rows fetches a line, the next block
        // the next line, so that all are there when their turn comes.
        let (lines, turn) = ((N * V::LANES).div_ceil(16), first / R);
        let fetched = match block.ahead {
            0 => 0,
            ahead => ahead + turn / lines % UNROLLED * N * V::LANES + turn % lines * 16,
        };
        // What the sums go to or meet is rarely in cache, and there is time to fetch it while they are made.
        for r in first..first + count {
            let at = dst.wrapping_add(r * stride + block.column);
            prefetch(at, true);
            prefetch(at.wrapping_add(block.columns - 1), true);
            if let Some(left) = &then.rectified {
                let at = left.data.as_ptr().wrapping_add(r * left.stride + block.column);
                prefetch(at, true);
                prefetch(at.wrapping_add(block.columns - 1), true);
            }
        }
        // SAFETY: the extents were checked.
        unsafe {
            if N > 1 && count <= REST {
                few_rows::<V, REST, N>(dst, stride, a, (first, count), block, fetched, then)
            } else {
                few_rows::<V, R, N>(dst, stride, a, (first, count), block, fetched, then)
            }
        }
    }
}

/// So many rows or fewer, at the end of a matrix, have a block of their own size.
const REST: usize = 4;

/// `count <= R` rows from `first` on.
#[inline(always)]
unsafe fn few_rows<V: Vector, const R: usize, const N: usize>(
    dst: *mut f32,
    stride: usize,
    a: &Matrix,
    (first, count): (usize, usize),
    block: &Block,
    fetched: usize,
    then: &Epilogue,
) {
    // SAFETY: the caller's; rows beyond the last repeat it and are not stored.
    unsafe {
        let sums = if a.row_stride == 1 && count == R {
            let step = a.col_stride;
            let starts: [*const f32; UNROLLED] =
                std::array::from_fn(|i| opaque(a.data.as_ptr().wrapping_add(first + i * step)));
            let at = |r, k: usize, i: usize| starts[i].wrapping_add(k * step + r);
            accumulate::<V, R, N>(at, a.cols, block, fetched)
        } else {
            let starts: [*const f32; R] = std::array::from_fn(|r| {
                let row = a.data.as_ptr().add((first + r.min(count - 1)) * a.row_stride);
                // More than there are registers for would be read from memory each time.
                if R <= 8 { opaque(row) } else { row }
            });
            if a.col_stride == 1 {
                let at = |r: usize, k, i| starts[r].add(k + i);
                accumulate::<V, R, N>(at, a.cols, block, fetched)
            } else {
                let step = a.col_stride;
                let at = |r: usize, k, i| starts[r].add((k + i) * step);
                accumulate::<V, R, N>(at, a.cols, block, fetched)
            }
        };
        finish::<V, R, N>(&sums, dst, stride, (first, count), block, then);
    }
}

/// `a(r, k, i)`: where the number in row `r` and column `k + i` of the left matrix is, `i` being
/// less than [`UNROLLED`].
#[inline(always)]
unsafe fn accumulate<V: Vector, const R: usize, const N: usize>(
    a: impl Fn(usize, usize, usize) -> *const f32,
    inner: usize,
    block: &Block,
    fetched: usize,
) -> [[V; N]; R] {
    let mut sums = [[V::splat(0.0); N]; R];
    let mut b = block.b;
    let mut k = 0;
    // SAFETY: the caller's.
    unsafe {
        while k + UNROLLED <= inner {
            prefetch(b.wrapping_add(fetched), false);
            for i in 0..UNROLLED {
                outer_product(&mut sums, |r| a(r, k, i), b.add(i * N * V::LANES));
            }
            b = b.wrapping_add(UNROLLED * N * V::LANES);
            k += UNROLLED;
        }
        while k < inner {
            outer_product(&mut sums, |r| a(r, k, 0), b);
            b = b.wrapping_add(N * V::LANES);
            k += 1;
        }
    }
    sums
}

/// Terms of a sum between two jumps: what counts them takes a tenth of the time otherwise, where
/// another thread shares the core.
const UNROLLED: usize = 4;

/// Adds a column of the left matrix times a row of the panel.
#[inline(always)]
unsafe fn outer_product<V: Vector, const R: usize, const N: usize>(
    sums: &mut [[V; N]; R],
    a: impl Fn(usize) -> *const f32,
    b: *const f32,
) {
    // SAFETY: the caller's.
    unsafe {
        let row: [V; N] = std::array::from_fn(|v| V::load(b.add(v * V::LANES)));
        for (r, sums) in sums.iter_mut().enumerate() {
            let x = V::splat(*a(r));
            for (sum, row) in sums.iter_mut().zip(row) {
                *sum = x.mul_add(row, *sum);
            }
        }
    }
}

/// Adds to the sums what follows them, and stores them.
#[inline(always)]
unsafe fn finish<V: Vector, const R: usize, const N: usize>(
    sums: &[[V; N]; R],
    dst: *mut f32,
    stride: usize,
    (first, count): (usize, usize),
    block: &Block,
    then: &Epilogue,
) {
    // SAFETY: the caller's.
    unsafe {
        if count < R || block.columns < N * V::LANES {
            return finish_part(sums, dst, stride, (first, count), block, then);
        }
        let dst = dst.add(first * stride + block.column);
        // A constant in each arm, so that the loops have nothing to choose.
        match then.activation {
            Activation::Identity => {
                finish_whole(sums, dst, stride, first, block, then, Activation::Identity)
            }
            Activation::Relu => {
                finish_whole(sums, dst, stride, first, block, then, Activation::Relu)
            }
            Activation::Relu6 => {
                finish_whole(sums, dst, stride, first, block, then, Activation::Relu6)
            }
            Activation::Silu => {
                finish_whole(sums, dst, stride, first, block, then, Activation::Silu)
            }
            other => finish_whole(sums, dst, stride, first, block, then, other),
        }
    }
}

/// A block that has all rows and columns that it could have, to `at`.
#[inline(always)]
unsafe fn finish_whole<V: Vector, const R: usize, const N: usize>(
    sums: &[[V; N]; R],
    at: *mut f32,
    stride: usize,
    first: usize,
    block: &Block,
    then: &Epilogue,
    activation: Activation,
) {
    let mut sums = *sums;
    // SAFETY: the block is within the checked extents.
    unsafe {
        if let Some(bias) = then.bias {
            for v in 0..N {
                let bias = V::load(bias.as_ptr().add(block.column + v * V::LANES));
                for sums in &mut sums {
                    sums[v] = sums[v].add(bias);
                }
            }
        }
        if let Some(rows) = &then.rows {
            // One division for all rows.
            let (mut row, mut within) = (first / rows.repeat, first % rows.repeat);
            for sums in &mut sums {
                let of = row * rows.stride + block.column;
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.add(V::load(rows.data.as_ptr().add(of + v * V::LANES)));
                }
                within += 1;
                if within == rows.repeat {
                    (row, within) = (row + 1, 0);
                }
            }
        }
        if then.accumulate {
            for (r, sums) in sums.iter_mut().enumerate() {
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.add(V::load(at.add(r * stride + v * V::LANES)));
                }
            }
        }
        let Some(left) = &then.rectified else {
            for (r, sums) in sums.iter().enumerate() {
                for (v, sum) in sums.iter().enumerate() {
                    activation.of(*sum).store(at.add(r * stride + v * V::LANES));
                }
            }
            return;
        };
        for (r, sums) in sums.iter().enumerate() {
            let left = left.data.as_ptr().add((first + r) * left.stride + block.column);
            for (v, sum) in sums.iter().enumerate() {
                let y = activation.of(*sum).where_nonzero(V::load(left.add(v * V::LANES)));
                y.store(at.add(r * stride + v * V::LANES));
            }
        }
    }
}

/// Any other block.
#[inline(always)]
unsafe fn finish_part<V: Vector, const R: usize, const N: usize>(
    sums: &[[V; N]; R],
    dst: *mut f32,
    stride: usize,
    (first, count): (usize, usize),
    block: &Block,
    then: &Epilogue,
) {
    for v in 0..N {
        let within = v * V::LANES;
        let lanes = V::LANES.min(block.columns.saturating_sub(within));
        let column = block.column + within;
        let whole = lanes == V::LANES;
        // SAFETY: `lanes` of every operand from `column` are within its checked extent.
        unsafe {
            let load = |p: *const f32| if whole { V::load(p) } else { V::load_part(p, lanes) };
            let bias = match then.bias {
                Some(bias) => load(bias.as_ptr().add(column)),
                None => V::splat(0.0),
            };
            for (r, sums) in sums.iter().enumerate() {
                // Not an end of the loop: the sums could not stay in registers, nor could those
                // of whole blocks.
                if r >= count {
                    continue;
                }
                let at = dst.add((first + r) * stride + column);
                let mut y = sums[v].add(bias);
                if let Some(rows) = &then.rows {
                    let row = (first + r) / rows.repeat;
                    y = y.add(load(rows.data.as_ptr().add(row * rows.stride + column)));
                }
                if then.accumulate {
                    y = y.add(load(at));
                }
                let mut y = then.activation.of(y);
                if let Some(left) = &then.rectified {
                    let row = (first + r) * left.stride;
                    y = y.where_nonzero(load(left.data.as_ptr().add(row + column)));
                }
                if whole { y.store(at) } else { y.store_part(at, lanes) }
            }
        }
    }
}
