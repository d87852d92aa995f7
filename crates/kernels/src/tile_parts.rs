//! Numbers in two or three parts of eight binary digits each, as tiles of bfloat16 take them.
//!
//! The first part is the nearest of its kind, the next ones are of what is left. Two are within 2^-17
//! of the number, three are all of it. The idea: Henry, Tang and Heinecke, "Leveraging the bfloat16
//! Artificial Intelligence Datatype For Higher-Precision Computations", ARITH 2019. What is not finite
//! gives parts that are no numbers; below 2^-118 second parts are lost, and third ones below 2^-110,
//! for tiles take tiny numbers as 0.

use crate::matrix::Matrix;
use crate::tiles::{DEPTH, FLOATS, SIDE};
use std::arch::x86_64::*;
use std::ops::Range;

/// Steps of [`DEPTH`] terms for so many.
pub(crate) fn steps(inner: usize) -> usize {
    inner.div_ceil(DEPTH)
}

/// The parts of every lane, each in its upper half; what is in the lower halves has no meaning.
#[inline]
#[target_feature(enable = "avx512f")]
fn parts<const P: usize>(x: __m512) -> [__m512i; P] {
    // To the nearest number of a part: half of its last place is added, the rest cut off.
    let half = _mm512_set1_epi32(0x8000);
    let upper = _mm512_set1_epi32(0xffff_0000_u32 as i32);
    let first = _mm512_and_si512(_mm512_add_epi32(_mm512_castps_si512(x), half), upper);
    let rest = _mm512_sub_ps(x, _mm512_castsi512_ps(first));
    let mut parts = [first; P];
    if P == 2 {
        // To the nearest again, for what is left after it is lost.
        parts[1] = _mm512_add_epi32(_mm512_castps_si512(rest), half);
    } else {
        let second = _mm512_and_si512(_mm512_castps_si512(rest), upper);
        parts[1] = second;
        parts[2] = _mm512_castps_si512(_mm512_sub_ps(rest, _mm512_castsi512_ps(second)));
    }
    parts
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
/// AVX-512; `to` has room for `steps * P * tiles` tiles.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(crate) unsafe fn split_left<const P: usize>(
    to: *mut f32,
    a: &Matrix,
    rows: Range<usize>,
    tiles: usize,
) {
    for step in 0..steps(a.cols) {
        let k = step * DEPTH;
        let terms = a.cols - k;
        for (tile, first) in rows.clone().step_by(SIDE).enumerate() {
            let count = SIDE.min(rows.end - first);
            let to = to.wrapping_add((step * P * tiles + tile) * FLOATS);
            // SAFETY: the caller's.
            unsafe {
                if a.col_stride == 1 {
                    let (one, two) = (lanes(terms), lanes(terms.saturating_sub(SIDE)));
                    for r in 0..count {
                        let from = a.data.as_ptr().add((first + r) * a.row_stride + k);
                        let one = _mm512_maskz_loadu_ps(one, from);
                        let two = _mm512_maskz_loadu_ps(two, from.wrapping_add(SIDE));
                        store_row::<P>(to.add(r * SIDE), tiles, one, two);
                    }
                } else {
                    let [mut one, mut two] = [[_mm512_setzero_ps(); SIDE]; 2];
                    square(&mut one, a, first, k);
                    square(&mut two, a, first, k + SIDE);
                    for r in 0..count {
                        store_row::<P>(to.add(r * SIDE), tiles, one[r], two[r]);
                    }
                }
            }
        }
    }
}

/// The parts of [`DEPTH`] numbers, the upper halves of lanes next to each other.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn store_row<const P: usize>(to: *mut f32, tiles: usize, one: __m512, two: __m512) {
    // SAFETY: the caller's.
    unsafe {
        let odd = _mm512_set_epi16(
            63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31, 29, 27, 25, 23, 21,
            19, 17, 15, 13, 11, 9, 7, 5, 3, 1,
        );
        let (one, two) = (parts::<P>(one), parts::<P>(two));
        for p in 0..P {
            let halves = _mm512_permutex2var_epi16(one[p], odd, two[p]);
            _mm512_store_si512(to.add(p * tiles * FLOATS).cast(), halves);
        }
    }
}

/// Columns `column..` of a right matrix, `tiles` tiles of them, to `to`, in the same order; a row
/// of a tile has two numbers of every column, zeros beyond the matrix.
///
/// # Safety
/// AVX-512; `to` has room for `steps * P * tiles` tiles.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(crate) unsafe fn split_right<const P: usize>(
    to: *mut f32,
    b: &Matrix,
    column: usize,
    tiles: usize,
) {
    for step in 0..steps(b.rows) {
        let to = to.wrapping_add(step * P * tiles * FLOATS);
        for tile in 0..tiles {
            for half in 0..2 {
                let to = to.wrapping_add((tile * SIDE + half * SIDE / 2) * SIDE);
                // SAFETY: the caller's.
                unsafe {
                    let mut rows = [_mm512_setzero_ps(); SIDE];
                    square(&mut rows, b, step * DEPTH + half * SIDE, column + tile * SIDE);
                    for (pair, rows) in rows.as_chunks::<2>().0.iter().enumerate() {
                        store_pair::<P>(to.add(pair * SIDE), tiles, rows[0], rows[1]);
                    }
                }
            }
        }
    }
}

/// The parts of two rows, those of a column next to each other.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn store_pair<const P: usize>(to: *mut f32, tiles: usize, even: __m512, odd: __m512) {
    // SAFETY: the caller's.
    unsafe {
        let (even, odd) = (parts::<P>(even), parts::<P>(odd));
        for p in 0..P {
            let even = _mm512_srli_epi32::<16>(even[p]);
            let pair = _mm512_mask_blend_epi16(0xaaaa_aaaa, even, odd[p]);
            _mm512_store_si512(to.add(p * tiles * FLOATS).cast(), pair);
        }
    }
}

/// Rows `i..` and columns `j..` of a matrix to `to`, as many as a tile has; zeros beyond it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn square(to: &mut [__m512; SIDE], m: &Matrix, i: usize, j: usize) {
    let (rows, cols) = (m.rows.saturating_sub(i), m.cols.saturating_sub(j));
    let at = m.data.as_ptr().wrapping_add(i * m.row_stride + j * m.col_stride);
    // SAFETY: masks leave out what is beyond the matrix.
    unsafe {
        let line = |p: *const f32, line: usize, lines: usize, of: u16| match line < lines {
            true => _mm512_maskz_loadu_ps(of, p),
            false => _mm512_setzero_ps(),
        };
        if m.col_stride == 1 {
            let of = lanes(cols);
            for (r, row) in to.iter_mut().enumerate() {
                *row = line(at.wrapping_add(r * m.row_stride), r, rows, of);
            }
        } else if m.row_stride == 1 {
            let of = lanes(rows);
            for (c, column) in to.iter_mut().enumerate() {
                *column = line(at.wrapping_add(c * m.col_stride), c, cols, of);
            }
            transpose(to);
        } else {
            for (r, row) in to.iter_mut().enumerate() {
                let mut numbers = [0.0; SIDE];
                for (c, number) in numbers.iter_mut().enumerate().take(cols) {
                    if r < rows {
                        *number = *at.wrapping_add(r * m.row_stride + c * m.col_stride);
                    }
                }
                *row = _mm512_loadu_ps(numbers.as_ptr());
            }
        }
    }
}

/// Of a tile's numbers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn transpose(x: &mut [__m512; SIDE]) {
    // Within lines of four numbers each: pairs of rows, then pairs of pairs.
    let mut pairs = [_mm512_setzero_ps(); SIDE];
    for i in (0..SIDE).step_by(2) {
        pairs[i] = _mm512_unpacklo_ps(x[i], x[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
    }
    // Row `4 g + c`: column `c` of each line, of rows `4 g..4 g + 4`.
    let mut fours = [_mm512_setzero_ps(); SIDE];
    for g in (0..SIDE).step_by(4) {
        for c in 0..2 {
            let [a, b] = [_mm512_castps_pd(pairs[g + c]), _mm512_castps_pd(pairs[g + 2 + c])];
            fours[g + 2 * c] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            fours[g + 2 * c + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    }
    // Lines of a row belong to columns `c`, `c + 4`, `c + 8`, `c + 12`: a 4 x 4 of lines for every
    // `c`.
    for c in 0..4 {
        let [p, q, r, s] = [fours[c], fours[4 + c], fours[8 + c], fours[12 + c]];
        let low = [_mm512_shuffle_f32x4::<0x44>(p, q), _mm512_shuffle_f32x4::<0x44>(r, s)];
        let high = [_mm512_shuffle_f32x4::<0xee>(p, q), _mm512_shuffle_f32x4::<0xee>(r, s)];
        x[c] = _mm512_shuffle_f32x4::<0x88>(low[0], low[1]);
        x[c + 4] = _mm512_shuffle_f32x4::<0xdd>(low[0], low[1]);
        x[c + 8] = _mm512_shuffle_f32x4::<0x88>(high[0], high[1]);
        x[c + 12] = _mm512_shuffle_f32x4::<0xdd>(high[0], high[1]);
    }
}
