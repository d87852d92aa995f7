//! The innermost part of a product: some rows times a panel of columns, sums in registers over the
//! whole inner dimension.

use crate::activation::Activation;
use crate::isa::Isa;
use crate::matrix::Matrix;
use crate::product::Epilogue;
use crate::simd::{Vector, prefetch};

/// One panel of the right matrix.
pub(crate) struct Block {
    pub(crate) b: *const f32,
    pub(crate) b_stride: usize,
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
    // Every block of rows fetches its share of the next panel.
    let pace = a.rows.div_ceil(R);
    for first in (0..a.rows).step_by(R) {
        let count = R.min(a.rows - first);
        let fetch = Fetch { first: first / R, pace };
        // What the sums go to is rarely in cache, and there is time to fetch it while they are made.
        for r in first..first + count {
            let at = dst.wrapping_add(r * stride + block.column);
            prefetch(at, true);
            prefetch(at.wrapping_add(block.columns - 1), true);
        }
        // SAFETY: the extents were checked.
        unsafe {
            if N > 1 && count <= REST {
                few_rows::<V, REST, N>(dst, stride, a, (first, count), block, &fetch, then)
            } else {
                few_rows::<V, R, N>(dst, stride, a, (first, count), block, &fetch, then)
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
    fetch: &Fetch,
    then: &Epilogue,
) {
    // SAFETY: the caller's; rows beyond the last repeat it and are not stored.
    unsafe {
        let sums = if a.row_stride == 1 && count == R {
            let a_at = a.data.as_ptr().add(first);
            accumulate::<V, R, N>(|r, k| a_at.add(k * a.col_stride + r), a.cols, block, fetch)
        } else {
            let starts: [*const f32; R] = std::array::from_fn(|r| {
                a.data.as_ptr().add((first + r.min(count - 1)) * a.row_stride)
            });
            if a.col_stride == 1 {
                accumulate::<V, R, N>(|r, k| starts[r].add(k), a.cols, block, fetch)
            } else {
                let step = a.col_stride;
                accumulate::<V, R, N>(|r, k| starts[r].add(k * step), a.cols, block, fetch)
            }
        };
        finish::<V, R, N>(&sums, dst, stride, (first, count), block, then);
    }
}

/// Rows `first`, `first + pace`, ... of the next panel are to be fetched.
struct Fetch {
    first: usize,
    pace: usize,
}

#[inline(always)]
unsafe fn accumulate<V: Vector, const R: usize, const N: usize>(
    a: impl Fn(usize, usize) -> *const f32,
    inner: usize,
    block: &Block,
    fetch: &Fetch,
) -> [[V; N]; R] {
    let mut sums = [[V::splat(0.0); N]; R];
    let mut b = block.b;
    let mut k = 0;
    // One row is fetched before every `pace` rows of products.
    let pace = if block.ahead > 0 { fetch.pace } else { inner };
    while k < inner {
        if block.ahead > 0 && k + fetch.first < inner {
            let row = b.wrapping_add(fetch.first * block.b_stride + block.ahead);
            for line in 0..N * V::LANES / 16 + 1 {
                prefetch(row.wrapping_add(line * 16), false);
            }
        }
        let end = inner.min(k + pace);
        while k < end {
            // SAFETY: the caller's.
            unsafe {
                let row: [V; N] = std::array::from_fn(|v| V::load(b.add(v * V::LANES)));
                for (r, sums) in sums.iter_mut().enumerate() {
                    let x = V::splat(*a(r, k));
                    for (sum, row) in sums.iter_mut().zip(row) {
                        *sum = x.mul_add(row, *sum);
                    }
                }
            }
            b = b.wrapping_add(block.b_stride);
            k += 1;
        }
    }
    sums
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
            for (r, sums) in sums.iter_mut().enumerate() {
                let of = (first + r) / rows.repeat * rows.stride + block.column;
                for (v, sum) in sums.iter_mut().enumerate() {
                    *sum = sum.add(V::load(rows.data.as_ptr().add(of + v * V::LANES)));
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
        for (r, sums) in sums.iter().enumerate() {
            for (v, sum) in sums.iter().enumerate() {
                activation.of(*sum).store(at.add(r * stride + v * V::LANES));
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
            for (r, sums) in sums.iter().enumerate().take(count) {
                let at = dst.add((first + r) * stride + column);
                let mut y = sums[v].add(bias);
                if let Some(rows) = &then.rows {
                    let row = (first + r) / rows.repeat;
                    y = y.add(load(rows.data.as_ptr().add(row * rows.stride + column)));
                }
                if then.accumulate {
                    y = y.add(load(at));
                }
                let y = then.activation.of(y);
                if whole { y.store(at) } else { y.store_part(at, lanes) }
            }
        }
    }
}
