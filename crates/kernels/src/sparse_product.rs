//! Products on one thread whose left matrix has many zeros, as a rectifier leaves it: their terms
//! are left out.
//!
//! A row of the product is a sum of the right matrix's rows whose factors are not zero. Its sums
//! stay in registers over a run of such rows, which stay in the first cache for many rows of the
//! product; two rows that have few sums go together, so that terms of both read it once. Registers
//! spare a dense product ([`mod@crate::product`]) more of that: it is faster where few numbers are
//! zero.

use crate::isa::{Isa, dispatch};
use crate::line_rows::LineRows;
use crate::matrix::Matrix;
use crate::nonzeros::{NonZeros, RUN};
use crate::simd::{Vector, prefetch};

/// What is added to a product.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    /// One number a column.
    Bias(&'a [f32]),
    /// What was in the output.
    Output,
}

/// `dst = a b + start`; `dst` is row-major, its rows `stride` elements apart. `nonzeros` are those
/// of `a`, or of a matrix that is zero wherever terms of `a` are to be left out; zero times what
/// is not finite is left out too.
///
/// Where `start` is the output and rows have room for it, zeros are added to up to a vector of
/// numbers after the product's columns: to leave a part of a vector alone costs a tenth.
pub(crate) fn sparse_product(
    dst: &mut [f32],
    stride: usize,
    a: Matrix,
    nonzeros: &NonZeros,
    b: &LineRows,
    start: Start,
) {
    let columns = b.cols();
    assert_eq!(a.cols, b.rows(), "inner dimensions of a product");
    assert_eq!((a.rows, a.cols), (nonzeros.rows(), nonzeros.cols()), "zeros of another matrix");
    assert!(a.cols > 0 && a.rows > 0 && columns > 0);
    assert!(columns <= stride && (a.rows - 1) * stride + columns <= dst.len());
    assert!((a.rows - 1) * a.row_stride + (a.cols - 1) * a.col_stride < a.data.len());
    if let Start::Bias(bias) = start {
        assert!(bias.len() >= columns);
    }
    sparse(dst, stride, &a, nonzeros, b, start);
}

dispatch!(fn sparse(dst: &mut [f32], stride: usize, a: &Matrix, nonzeros: &NonZeros, b: &LineRows, start: Start) = sparse_body);
#[inline(always)]
fn sparse_body<I: Isa>(
    dst: &mut [f32],
    stride: usize,
    a: &Matrix,
    nonzeros: &NonZeros,
    b: &LineRows,
    start: Start,
) {
    let lanes = I::V::LANES;
    let vectors = b.cols().div_ceil(lanes);
    let room = matches!(start, Start::Output)
        && vectors * lanes <= stride
        && (a.rows - 1) * stride + vectors * lanes <= dst.len();
    let end = if room { vectors * lanes } else { b.cols() };
    // Sums of one row, in registers; a run of the right matrix that wide stays in the first cache.
    let most = (MOST_COLUMNS / lanes).min(14);
    let count = vectors.div_ceil(most);
    let mut column = 0;
    for i in 0..count {
        let of = vectors / count + usize::from(i < vectors % count);
        let columns = (of * lanes).min(end - column);
        let panel =
            Panel { dst: dst[column..].as_mut_ptr(), stride, a, nonzeros, b, column, columns };
        let start = match start {
            Start::Bias(bias) => Start::Bias(&bias[column..]),
            Start::Output => Start::Output,
        };
        match of {
            1 => panel.rows::<I::V, 1>(start),
            2 => panel.rows::<I::V, 2>(start),
            3 => panel.rows::<I::V, 3>(start),
            4 => panel.rows::<I::V, 4>(start),
            5 => panel.rows::<I::V, 5>(start),
            6 => panel.rows::<I::V, 6>(start),
            7 => panel.rows::<I::V, 7>(start),
            8 => panel.rows::<I::V, 8>(start),
            9 => panel.rows::<I::V, 9>(start),
            10 => panel.rows::<I::V, 10>(start),
            11 => panel.rows::<I::V, 11>(start),
            12 => panel.rows::<I::V, 12>(start),
            13 => panel.rows::<I::V, 13>(start),
            _ => panel.rows::<I::V, 14>(start),
        }
        column += columns;
    }
}

/// Columns that are made together. Twice as many are a tenth faster on a core of 48 KiB that nobody
/// shares, and a fifth slower where another thread has half of its first cache.
const MOST_COLUMNS: usize = 112;

/// Rows of the output that a run of the right matrix serves before the next run does.
const ROWS: usize = 192;

/// Some columns of a product.
struct Panel<'a> {
    /// The first of them in the first row.
    dst: *mut f32,
    stride: usize,
    a: &'a Matrix<'a>,
    nonzeros: &'a NonZeros,
    b: &'a LineRows,
    column: usize,
    columns: usize,
}

impl Panel<'_> {
    #[inline(always)]
    fn rows<V: Vector, const N: usize>(&self, start: Start) {
        let a = self.a;
        for first in (0..a.rows).step_by(ROWS) {
            let rows = first..a.rows.min(first + ROWS);
            for (run, words) in self.nonzeros.runs().enumerate() {
                let b = self.b.floats()[run * RUN * self.b.stride() + self.column..].as_ptr();
                let start = if run == 0 { start } else { Start::Output };
                // Where there are registers for the sums of two rows, what both ask for of the right
                // matrix is read once. Measured with AVX-512 only.
                let pairs = match V::LANES == 16 && N <= 7 {
                    true => rows.start..rows.end - rows.len() % 2,
                    false => rows.start..rows.start,
                };
                for r in pairs.clone().step_by(2) {
                    self.some_rows::<V, N, 2>((first, r), run, [words[r], words[r + 1]], b, start);
                }
                for (r, word) in (pairs.end..).zip(&words[pairs.end..rows.end]) {
                    self.some_rows::<V, N, 1>((first, r), run, [*word], b, start);
                }
            }
        }
    }

    /// Adds the terms of one run to the `P` rows from `r` on, `first` being that of all that the run
    /// serves now; fetches what comes after them.
    #[inline(always)]
    fn some_rows<V: Vector, const N: usize, const P: usize>(
        &self,
        (first, r): (usize, usize),
        run: usize,
        words: [u64; P],
        b: *const f32,
        start: Start,
    ) {
        let a = self.a;
        for ahead in r..r + P {
            // The run after this one is asked for too, a row of it at a time.
            if ahead - first < RUN {
                let next = b.wrapping_add((RUN + ahead - first) * self.b.stride());
                for line in (0..N * V::LANES).step_by(16) {
                    prefetch(next.wrapping_add(line), false);
                }
            }
            // The row that follows by two, which need not exist, is asked for meanwhile.
            let ahead = self.dst.wrapping_add((ahead + 2) * self.stride);
            for line in (0..N * V::LANES).step_by(16) {
                prefetch(ahead.wrapping_add(line), true);
            }
        }
        let from = a.data.as_ptr().wrapping_add(r * a.row_stride + run * RUN * a.col_stride);
        // SAFETY: `sparse_product` checked the extents, and bits are set only for columns that exist.
        unsafe {
            let dst = self.dst.add(r * self.stride);
            if a.col_stride == 1 {
                for ahead in 2..2 + P {
                    for line in (0..RUN).step_by(16) {
                        prefetch(from.wrapping_add(ahead * a.row_stride + line), true);
                    }
                }
                let factor = |i: usize, k: usize| from.add(i * a.row_stride + k);
                self.terms::<V, N, P>(dst, words, factor, b, start);
            } else {
                let factor = |i: usize, k: usize| from.add(i * a.row_stride + k * a.col_stride);
                self.terms::<V, N, P>(dst, words, factor, b, start);
            }
        }
    }

    /// Adds the terms of one run to `P` rows, one or two; `factor(i, k)`: where the `i`-th row's
    /// factor of row `k` is.
    #[inline(always)]
    unsafe fn terms<V: Vector, const N: usize, const P: usize>(
        &self,
        dst: *mut f32,
        words: [u64; P],
        factor: impl Fn(usize, usize) -> *const f32,
        b: *const f32,
        start: Start,
    ) {
        let (stride, last) = (self.b.stride(), self.columns - (N - 1) * V::LANES);
        let whole = last == V::LANES;
        // SAFETY: the caller's.
        unsafe {
            let mut sums: [[V; N]; P] = std::array::from_fn(|i| {
                let from = match start {
                    Start::Bias(bias) => bias.as_ptr(),
                    Start::Output => dst.add(i * self.stride).cast_const(),
                };
                std::array::from_fn(|v| match whole || v + 1 < N {
                    true => V::load(from.add(v * V::LANES)),
                    false => V::load_part(from.add(v * V::LANES), last),
                })
            });
            let shared = if P == 2 { words[0] & words[1] } else { 0 };
            let mut word = shared;
            while P == 2 && word != 0 {
                let k = word.trailing_zeros() as usize;
                word &= word - 1;
                let row = b.add(k * stride);
                let factors: [V; P] = std::array::from_fn(|i| V::splat(*factor(i, k)));
                for v in 0..N {
                    let y = V::load(row.add(v * V::LANES));
                    for (sums, x) in sums.iter_mut().zip(factors) {
                        sums[v] = x.mul_add(y, sums[v]);
                    }
                }
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let mut word = words[i] & !shared;
                while word != 0 {
                    let k = word.trailing_zeros() as usize;
                    word &= word - 1;
                    let (row, x) = (b.add(k * stride), V::splat(*factor(i, k)));
                    for (v, sum) in sums.iter_mut().enumerate() {
                        *sum = x.mul_add(V::load(row.add(v * V::LANES)), *sum);
                    }
                }
            }
            for (i, sums) in sums.iter().enumerate() {
                let dst = dst.add(i * self.stride);
                for (v, sum) in sums.iter().enumerate() {
                    match whole || v + 1 < N {
                        true => sum.store(dst.add(v * V::LANES)),
                        false => sum.store_part(dst.add(v * V::LANES), last),
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::product::tests::{noise, truth};

    #[test]
    fn every_shape_and_layout() {
        let shapes =
            [(1, 1, 1), (3, 5, 48), (5, 100, 49), (200, 56, 97), (7, 200, 130), (33, 241, 60)];
        for (i, (m, n, k)) in shapes.into_iter().enumerate() {
            let mut x = noise(m * k, 1 + i as u32);
            x.iter_mut().for_each(|x| *x = x.max(0.0));
            let (y, before, bias) = (noise(k * n, 9), noise(m * (n + 17), 7), noise(n, 5));
            let left = [Matrix::rows(&x, m, k, k), Matrix::rows(&x, k, m, m).transposed()];
            let right = [Matrix::rows(&y, k, n, n), Matrix::rows(&y, n, k, k).transposed()];
            for (a, b) in left.into_iter().flat_map(|a| right.map(|b| (a, b))) {
                let mut nonzeros = NonZeros::default();
                nonzeros.refill(&a);
                let mut rows = LineRows::new(Matrix::rows(&y, 1, 1, 1));
                rows.refill(b);
                let truth = truth(&a, &b);
                let starts = [Start::Bias(&bias), Start::Output];
                for (stride, start) in [n, n + 17].into_iter().flat_map(|s| starts.map(|t| (s, t)))
                {
                    let mut out = before[..m * stride].to_vec();
                    sparse_product(&mut out, stride, a, &nonzeros, &rows, start);
                    for (at, made) in out.iter().enumerate() {
                        let (r, c) = (at / stride, at % stride);
                        let expected = match start {
                            _ if c >= n => before[at] as f64,
                            Start::Bias(bias) => bias[c] as f64 + truth[r * n + c],
                            Start::Output => before[at] as f64 + truth[r * n + c],
                        };
                        assert!((*made as f64 - expected).abs() < 2e-5, "{m}x{n}x{k} at {r}, {c}");
                    }
                }
            }
        }
    }

    #[test]
    fn terms_without_a_bit_are_left_out() {
        let gate = [0.0, 1.0, 0.0, 2.0];
        let mut nonzeros = NonZeros::default();
        nonzeros.refill(&Matrix::rows(&gate, 2, 2, 2));
        let b = LineRows::new(Matrix::rows(&[1.0, 10.0], 2, 1, 1));
        let (mut out, a) = ([0.5, 0.25], [f32::NAN, 2.0, 7.0, 3.0]);
        sparse_product(&mut out, 1, Matrix::rows(&a, 2, 2, 2), &nonzeros, &b, Start::Output);
        assert_eq!(out, [20.5, 30.25]);
    }
}
