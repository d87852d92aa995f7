//! Which numbers of a matrix are not zero.

use crate::isa::{Isa, dispatch};
use crate::matrix::Matrix;
use crate::simd::Vector;

/// Columns that a word tells of: a multiple of every vector's lanes, and as many rows of a right
/// matrix as stay in the first cache.
pub(crate) const RUN: usize = 48;

/// For every run of [`RUN`] columns of a matrix a word a row: bit `i` says that number `i` of the
/// run is not zero; what is no number is not zero either.
#[derive(Clone, Debug, Default)]
pub(crate) struct NonZeros {
    /// Run after run.
    words: Vec<u64>,
    rows: usize,
    cols: usize,
}

impl NonZeros {
    /// Takes those of `a`, whose rows or whose columns are contiguous, into the same memory.
    pub(crate) fn refill(&mut self, a: &Matrix) {
        assert!(a.row_stride == 1 || a.col_stride == 1);
        (self.rows, self.cols) = (a.rows, a.cols);
        self.words.clear();
        self.words.resize(a.rows * a.cols.div_ceil(RUN), 0);
        if self.words.is_empty() {
            return;
        }
        if a.col_stride == 1 {
            of_rows(&mut self.words, a);
        } else {
            of_columns(&mut self.words, a);
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    /// Words of every row of a run.
    pub(crate) fn runs(&self) -> std::slice::ChunksExact<'_, u64> {
        self.words.chunks_exact(self.rows.max(1))
    }

    /// How many numbers of all are not zero, between 0 and 1.
    pub(crate) fn share(&self) -> f32 {
        let ones: u32 = self.words.iter().map(|w| w.count_ones()).sum();
        ones as f32 / (self.rows * self.cols).max(1) as f32
    }
}

dispatch!(fn of_rows(words: &mut [u64], a: &Matrix) = of_rows_body);
#[inline(always)]
fn of_rows_body<I: Isa>(words: &mut [u64], a: &Matrix) {
    let lanes = I::V::LANES;
    for r in 0..a.rows {
        let row = &a.data[r * a.row_stride..][..a.cols];
        for (run, numbers) in row.chunks(RUN).enumerate() {
            let mut word = 0;
            for (i, part) in numbers.chunks(lanes).enumerate() {
                // SAFETY: so many numbers are there.
                let x = unsafe {
                    match part.len() == lanes {
                        true => I::V::load(part.as_ptr()),
                        false => I::V::load_part(part.as_ptr(), part.len()),
                    }
                };
                word |= (x.nonzero() as u64) << (i * lanes);
            }
            words[run * a.rows + r] = word;
        }
    }
}

dispatch!(fn of_columns(words: &mut [u64], a: &Matrix) = of_columns_body);
/// Rows of `a` are its memory's columns, so a vector holds one number of each of some rows.
#[inline(always)]
fn of_columns_body<I: Isa>(words: &mut [u64], a: &Matrix) {
    let lanes = I::V::LANES;
    for (run, words) in words.chunks_exact_mut(a.rows).enumerate() {
        let numbers = run * RUN..a.cols.min((run + 1) * RUN);
        for (i, words) in words.chunks_mut(lanes).enumerate() {
            // Lanes have 32 bits, of which a run needs more.
            for half in 0..RUN.div_ceil(HALF) {
                let mut bits = I::V::splat(0.0);
                for (bit, k) in numbers.clone().skip(half * HALF).take(HALF).enumerate() {
                    let from = &a.data[k * a.col_stride + i * lanes..][..words.len()];
                    // SAFETY: so many numbers are there.
                    let x = unsafe {
                        match from.len() == lanes {
                            true => I::V::load(from.as_ptr()),
                            false => I::V::load_part(from.as_ptr(), from.len()),
                        }
                    };
                    bits = x.mark_nonzero(1 << bit, bits);
                }
                let mut of_lanes = [0.0f32; 16];
                // SAFETY: no vector has more lanes.
                unsafe { bits.store(of_lanes.as_mut_ptr()) };
                for (word, bits) in words.iter_mut().zip(of_lanes) {
                    *word |= (bits.to_bits() as u64) << (half * HALF);
                }
            }
        }
    }
}

/// Bits of a run that are made together.
const HALF: usize = RUN / 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_its_bit() {
        for (rows, cols) in [(1, 1), (3, 48), (17, 49), (8, 96), (35, 47), (5, 131), (0, 4), (4, 0)]
        {
            let mut numbers: Vec<f32> =
                (0..rows * cols).map(|i| if i * 7 % 5 < 2 { -1.5 } else { 0.0 }).collect();
            if let Some(x) = numbers.get_mut(3) {
                *x = f32::NAN;
            }
            if let Some(x) = numbers.get_mut(5) {
                *x = -0.0;
            }
            let transposed = Matrix::rows(&numbers, cols, rows, rows).transposed();
            for a in [Matrix::rows(&numbers, rows, cols, cols), transposed] {
                let mut made = NonZeros::default();
                made.refill(&Matrix::rows(&[1.0; 200], 2, 100, 100));
                made.refill(&a);
                let mut ones = 0;
                for (run, words) in made.runs().enumerate() {
                    for (r, word) in words.iter().enumerate() {
                        for i in 0..64 {
                            let k = run * RUN + i;
                            let there = i < RUN && k < cols && {
                                a.data[r * a.row_stride + k * a.col_stride] != 0.0
                            };
                            assert_eq!(word >> i & 1 == 1, there, "{rows}x{cols} at {r}, {k}");
                            ones += there as usize;
                        }
                    }
                }
                assert_eq!(made.runs().count(), if rows == 0 { 0 } else { cols.div_ceil(RUN) });
                assert_eq!(made.share(), ones as f32 / (rows * cols).max(1) as f32);
            }
        }
    }
}
