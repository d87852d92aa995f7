//! Numbers in three parts of eight binary digits each, as tiles of bfloat16 take them.
//!
//! The parts of a number are cut off one after the other, so they have its sign and their sum is the
//! number, all 24 digits. The idea: Henry, Tang and Heinecke, "Leveraging the bfloat16 Artificial
//! Intelligence Datatype For Higher-Precision Computations", ARITH 2019. What is not finite gives
//! parts that are no numbers; below 2^-110 the last parts are lost, for tiles take tiny numbers as 0.

use crate::matrix::Matrix;
use crate::tiles::{DEPTH, FLOATS, PARTS, SIDE};
use std::arch::x86_64::*;

/// Steps of [`DEPTH`] terms for so many.
pub(crate) fn steps(inner: usize) -> usize {
    inner.div_ceil(DEPTH)
}

/// The parts of every lane, each in its upper half; the lower half of the last is empty too.
#[inline(always)]
unsafe fn parts(x: __m512) -> [__m512i; PARTS] {
    // SAFETY: the caller's instruction set.
    unsafe {
        let upper = _mm512_castsi512_ps(_mm512_set1_epi32(0xffff_0000_u32 as i32));
        let first = _mm512_and_ps(x, upper);
        let rest = _mm512_sub_ps(x, first);
        let second = _mm512_and_ps(rest, upper);
        let third = _mm512_sub_ps(rest, second);
        [first, second, third].map(|x| _mm512_castps_si512(x))
    }
}

/// The first `n` lanes.
fn lanes(n: usize) -> u16 {
    match n {
        16.. => u16::MAX,
        n => (1 << n) - 1,
    }
}

/// Rows `rows` of a left matrix, at most `tiles` tiles of them, to `to`: step after step, of each
/// part after part, of each tile after tile. Rows beyond stay as they are, for theirs are sums of
/// their own.
///
/// # Safety
/// AVX-512; `to` has room for `steps * PARTS * tiles` tiles.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(crate) unsafe fn split_left(
    to: *mut f32,
    a: &Matrix,
    rows: std::ops::Range<usize>,
    tiles: usize,
) {
    for step in 0..steps(a.cols) {
        let k = step * DEPTH;
        let to = to.wrapping_add(step * PARTS * tiles * FLOATS);
        for (tile, first) in rows.clone().step_by(SIDE).enumerate() {
            let count = SIDE.min(rows.end - first);
            let to = to.wrapping_add(tile * FLOATS);
            // SAFETY: the caller's.
            unsafe {
                if a.col_stride == 1 {
                    for r in 0..count {
                        let from = a.data.as_ptr().add((first + r) * a.row_stride + k);
                        let load = |i: usize| {
                            let left = (a.cols - k).saturating_sub(i);
                            _mm512_maskz_loadu_ps(lanes(left), from.wrapping_add(i))
                        };
                        store_row(to.add(r * SIDE), tiles, load(0), load(SIDE));
                    }
                } else {
                    let (one, two) = (square(a, first, k), square(a, first, k + SIDE));
                    for r in 0..count {
                        store_row(to.add(r * SIDE), tiles, one[r], two[r]);
                    }
                }
            }
        }
    }
}

/// The parts of [`DEPTH`] numbers, the upper halves of lanes next to each other.
#[inline(always)]
unsafe fn store_row(to: *mut f32, tiles: usize, one: __m512, two: __m512) {
    // SAFETY: the caller's.
    unsafe {
        let odd = _mm512_set_epi16(
            63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31, 29, 27, 25, 23, 21,
            19, 17, 15, 13, 11, 9, 7, 5, 3, 1,
        );
        let (one, two) = (parts(one), parts(two));
        for p in 0..PARTS {
            let halves = _mm512_permutex2var_epi16(one[p], odd, two[p]);
            _mm512_store_si512(to.add(p * tiles * FLOATS).cast(), halves);
        }
    }
}

/// Columns `column..` of a right matrix, `tiles` tiles of them, to `to`, in the same order; a row
/// of a tile has two numbers of every column, zeros beyond the matrix.
///
/// # Safety
/// AVX-512; `to` has room for `steps * PARTS * tiles` tiles.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(crate) unsafe fn split_right(to: *mut f32, b: &Matrix, column: usize, tiles: usize) {
    for step in 0..steps(b.rows) {
        let to = to.wrapping_add(step * PARTS * tiles * FLOATS);
        for tile in 0..tiles {
            for half in 0..2 {
                let to = to.wrapping_add((tile * SIDE + half * SIDE / 2) * SIDE);
                // SAFETY: the caller's.
                unsafe {
                    let rows = square(b, step * DEPTH + half * SIDE, column + tile * SIDE);
                    for (pair, rows) in rows.as_chunks::<2>().0.iter().enumerate() {
                        store_pair(to.add(pair * SIDE), tiles, rows[0], rows[1]);
                    }
                }
            }
        }
    }
}

/// The parts of two rows, those of a column next to each other.
#[inline(always)]
unsafe fn store_pair(to: *mut f32, tiles: usize, even: __m512, odd: __m512) {
    // SAFETY: the caller's.
    unsafe {
        let (even, odd) = (parts(even), parts(odd));
        for p in 0..PARTS {
            let pair = _mm512_or_si512(_mm512_srli_epi32::<16>(even[p]), odd[p]);
            _mm512_store_si512(to.add(p * tiles * FLOATS).cast(), pair);
        }
    }
}

/// Rows of a right matrix's tiles, as [`split_right`] has left them, times `factors`, one a row.
///
/// # Safety
/// AVX-512; `tiles_at` are `steps * PARTS * tiles` tiles.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(crate) unsafe fn scale_right(tiles_at: *mut f32, factors: &[f32], tiles: usize) {
    for (step, factors) in factors.chunks(DEPTH).enumerate() {
        for (pair, factors) in factors.chunks(2).enumerate() {
            for tile in 0..tiles {
                let at = (step * PARTS * tiles + tile) * FLOATS + pair * SIDE;
                let at = tiles_at.wrapping_add(at);
                // SAFETY: the caller's.
                unsafe {
                    let (mut even, mut odd) = (_mm512_setzero_ps(), _mm512_setzero_ps());
                    // From the last part on, which keeps every sum exact.
                    for p in (0..PARTS).rev() {
                        let both = _mm512_load_si512(at.add(p * tiles * FLOATS).cast());
                        let upper = _mm512_set1_epi32(0xffff_0000_u32 as i32);
                        let low = _mm512_slli_epi32::<16>(both);
                        even = _mm512_add_ps(even, _mm512_castsi512_ps(low));
                        let high = _mm512_and_si512(both, upper);
                        odd = _mm512_add_ps(odd, _mm512_castsi512_ps(high));
                    }
                    let factor = |i: usize| _mm512_set1_ps(factors.get(i).copied().unwrap_or(0.0));
                    let (even, odd) =
                        (_mm512_mul_ps(even, factor(0)), _mm512_mul_ps(odd, factor(1)));
                    store_pair(at, tiles, even, odd);
                }
            }
        }
    }
}

/// Rows `i..` and columns `j..` of a matrix, as many as a tile has; zeros beyond it.
#[inline(always)]
unsafe fn square(m: &Matrix, i: usize, j: usize) -> [__m512; SIDE] {
    let (rows, cols) = (m.rows.saturating_sub(i), m.cols.saturating_sub(j));
    let at = |r: usize, c: usize| {
        m.data.as_ptr().wrapping_add((i + r) * m.row_stride + (j + c) * m.col_stride)
    };
    // SAFETY: masks leave out what is beyond the matrix.
    unsafe {
        let load = |p: *const f32, of: usize, n: usize, line: usize| match line < n {
            true => _mm512_maskz_loadu_ps(lanes(of), p),
            false => _mm512_setzero_ps(),
        };
        if m.col_stride == 1 {
            return std::array::from_fn(|r| load(at(r, 0), cols, rows, r));
        }
        if m.row_stride == 1 {
            return transpose(std::array::from_fn(|c| load(at(0, c), rows, cols, c)));
        }
        std::array::from_fn(|r| {
            let number = |c: usize| if r < rows && c < cols { *at(r, c) } else { 0.0 };
            let row: [f32; SIDE] = std::array::from_fn(number);
            _mm512_loadu_ps(row.as_ptr())
        })
    }
}

#[inline(always)]
unsafe fn transpose(x: [__m512; SIDE]) -> [__m512; SIDE] {
    // SAFETY: the caller's instruction set.
    unsafe {
        // Within lines of four numbers each: pairs of rows, then pairs of pairs.
        let pairs: [__m512; SIDE] = std::array::from_fn(|i| {
            let (a, b) = (x[i & !1], x[i | 1]);
            if i & 1 == 0 { _mm512_unpacklo_ps(a, b) } else { _mm512_unpackhi_ps(a, b) }
        });
        // Row `4 g + c`: column `c` of each line, of rows `4 g..4 g + 4`.
        let fours: [__m512; SIDE] = std::array::from_fn(|i| {
            let (g, c) = (i & !3, i & 3);
            let [a, b] = [pairs[g + c / 2], pairs[g + 2 + c / 2]].map(|v| _mm512_castps_pd(v));
            let row =
                if c & 1 == 0 { _mm512_unpacklo_pd(a, b) } else { _mm512_unpackhi_pd(a, b) };
            _mm512_castpd_ps(row)
        });
        // Lines of a row belong to columns `c`, `c + 4`, `c + 8`, `c + 12`: a 4 x 4 of lines for
        // every `c`.
        let mut made = x;
        for c in 0..4 {
            let [p, q, r, s] = [fours[c], fours[4 + c], fours[8 + c], fours[12 + c]];
            let low = [_mm512_shuffle_f32x4::<0x44>(p, q), _mm512_shuffle_f32x4::<0x44>(r, s)];
            let high = [_mm512_shuffle_f32x4::<0xee>(p, q), _mm512_shuffle_f32x4::<0xee>(r, s)];
            made[c] = _mm512_shuffle_f32x4::<0x88>(low[0], low[1]);
            made[c + 4] = _mm512_shuffle_f32x4::<0xdd>(low[0], low[1]);
            made[c + 8] = _mm512_shuffle_f32x4::<0x88>(high[0], high[1]);
            made[c + 12] = _mm512_shuffle_f32x4::<0xdd>(high[0], high[1]);
        }
        made
    }
}
