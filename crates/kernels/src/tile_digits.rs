//! Numbers in three digits of eight bits each, as tiles of whole numbers take them.
//!
//! A row of a left matrix and a column of a right one have a scale of their own, by which their largest
//! number fills its digits; so a number is within 2^-24 of the largest of its row or column, and a sum
//! of products is multiplied by both scales. The idea: Ozaki, Ogita, Oishi and Rump, "Error-free
//! transformations of matrix multiplication by using fast routines of matrix multiplication and its
//! applications", Numerical Algorithms 59, 2012; for tiles of whole numbers Ootomo, Ozaki and Yokota,
//! "DGEMM on integer matrix multiplication unit", IJHPCA 2024.
//! A row or column with a number that is not finite gives sums that are no numbers; one with none
//! above 2^-96 gives sums of 0.

use crate::matrix::Matrix;
use crate::tiles::{DEPTH, DIGITS, FLOATS, SIDE};
use std::arch::x86_64::*;

/// Steps of [`DEPTH`] terms for so many.
pub(crate) fn steps(inner: usize) -> usize {
    inner.div_ceil(DEPTH)
}

/// What the largest number becomes, in units of the first digit: digits from -128 to 127 reach to
/// 127.4985, less what rounding may add.
const LARGEST: f32 = 127.49;

/// By the largest magnitude of each lane, as bits of an `f32`: what its numbers are multiplied by
/// before they become digits, and what a first digit stands for.
#[inline]
#[target_feature(enable = "avx512f")]
fn scales(largest: __m512i) -> (__m512, __m512) {
    let bits = |x: f32| _mm512_set1_epi32(x.to_bits() as i32);
    let none = _mm512_cmpge_epu32_mask(largest, bits(f32::INFINITY));
    let tiny = _mm512_cmplt_epu32_mask(largest, bits(2f32.powi(-96)));
    let largest = _mm512_castsi512_ps(largest);
    let to = _mm512_maskz_div_ps(!(none | tiny), _mm512_set1_ps(LARGEST * 65536.0), largest);
    let back = _mm512_maskz_mul_ps(!tiny, largest, _mm512_set1_ps(1.0 / LARGEST));
    (to, _mm512_mask_mov_ps(back, none, _mm512_set1_ps(f32::NAN)))
}

/// Digits of every lane plus 128 each, the largest one in the third byte, 0 in the fourth.
#[inline]
#[target_feature(enable = "avx512f")]
fn digits(x: __m512, scale: __m512) -> __m512i {
    // So much more makes every digit 128 more, and the number positive.
    let more = _mm512_set1_ps(0x80_8080 as f32);
    _mm512_cvtps_epi32(_mm512_fmadd_ps(x, scale, more))
}

/// Digits as they are, of digits plus 128.
#[inline]
#[target_feature(enable = "avx512f")]
fn with_signs(digits: __m512i) -> __m512i {
    _mm512_xor_si512(digits, _mm512_set1_epi32(0x8080_8080_u32 as i32))
}

/// The first `n` lanes.
fn lanes(n: usize) -> u16 {
    match n {
        16.. => u16::MAX,
        n => (1 << n) - 1,
    }
}

/// The larger magnitude of each lane, as bits.
#[inline]
#[target_feature(enable = "avx512f")]
fn larger(largest: __m512i, x: __m512) -> __m512i {
    let magnitude = _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(i32::MAX));
    _mm512_max_epu32(largest, magnitude)
}

/// The largest magnitudes of columns `column..`, as many as a tile has, as bits; 0 beyond the matrix.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn largest_of_columns(m: &Matrix, column: usize) -> __m512i {
    let count = SIDE.min(m.cols.saturating_sub(column));
    let at = m.data.as_ptr().wrapping_add(column * m.col_stride);
    // SAFETY: masks leave out what is beyond the matrix.
    unsafe {
        if m.col_stride == 1 {
            let of = lanes(count);
            let mut largest = [_mm512_setzero_si512(); 4];
            let row = |r: usize| _mm512_maskz_loadu_ps(of, at.wrapping_add(r * m.row_stride));
            let mut r = 0;
            while r + 4 <= m.rows {
                for (i, largest) in largest.iter_mut().enumerate() {
                    *largest = larger(*largest, row(r + i));
                }
                r += 4;
            }
            for r in r..m.rows {
                largest[0] = larger(largest[0], row(r));
            }
            let [a, b, c, d] = largest;
            return _mm512_max_epu32(_mm512_max_epu32(a, b), _mm512_max_epu32(c, d));
        }
        let mut all = [0u32; SIDE];
        for (c, all) in all.iter_mut().enumerate().take(count) {
            let at = at.wrapping_add(c * m.col_stride);
            if m.row_stride == 1 {
                *all = largest_of_row(at, m.rows);
            } else {
                let numbers = (0..m.rows).map(|r| *at.wrapping_add(r * m.row_stride));
                *all = numbers.map(|x| x.abs().to_bits()).max().unwrap_or(0);
            }
        }
        _mm512_loadu_si512(all.as_ptr().cast())
    }
}

/// The largest magnitude of `n` numbers, as bits.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn largest_of_row(at: *const f32, n: usize) -> u32 {
    let mut largest = [_mm512_setzero_si512(); 4];
    // SAFETY: the mask leaves out what is beyond the row.
    unsafe {
        let mut k = 0;
        while k + DEPTH <= n {
            for (i, largest) in largest.iter_mut().enumerate() {
                *largest = larger(*largest, _mm512_loadu_ps(at.add(k + i * SIDE)));
            }
            k += DEPTH;
        }
        while k < n {
            let of = lanes(n - k);
            largest[0] = larger(largest[0], _mm512_maskz_loadu_ps(of, at.add(k)));
            k += SIDE;
        }
    }
    let [a, b, c, d] = largest;
    _mm512_reduce_max_epu32(_mm512_max_epu32(_mm512_max_epu32(a, b), _mm512_max_epu32(c, d)))
}

/// Rows `first..` of a left matrix, one tile of them or fewer, to `to`: step after step, of each digit
/// after digit; the rows' scales to `back`. Rows beyond stay as they are, for theirs are sums of their
/// own.
///
/// # Safety
/// AVX-512; `to` has room for `steps * DIGITS` tiles, `back` for [`SIDE`] floats.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(crate) unsafe fn split_left(to: *mut f32, back: *mut f32, a: &Matrix, first: usize) {
    let count = SIDE.min(a.rows - first);
    // SAFETY: the caller's.
    unsafe {
        let (scale, given_back) = scales(largest_of_columns(&a.transposed(), first));
        _mm512_storeu_ps(back, given_back);
        let mut scale_of = [0.0; SIDE];
        _mm512_storeu_ps(scale_of.as_mut_ptr(), scale);
        for step in 0..steps(a.cols) {
            let k = step * DEPTH;
            let to = to.add(step * DIGITS * FLOATS);
            if a.col_stride == 1 {
                for (r, scale) in scale_of.iter().enumerate().take(count) {
                    let from = a.data.as_ptr().wrapping_add((first + r) * a.row_stride + k);
                    let mut x = [_mm512_setzero_ps(); 4];
                    if k + DEPTH <= a.cols {
                        for (i, x) in x.iter_mut().enumerate() {
                            *x = _mm512_loadu_ps(from.add(i * SIDE));
                        }
                    } else {
                        for (i, x) in x.iter_mut().enumerate() {
                            let of = lanes(a.cols.saturating_sub(k + i * SIDE));
                            *x = _mm512_maskz_loadu_ps(of, from.wrapping_add(i * SIDE));
                        }
                    }
                    store_row(to.add(r * SIDE), x, _mm512_set1_ps(*scale));
                }
            } else {
                let mut squares = [[_mm512_setzero_ps(); SIDE]; 4];
                for (i, to) in squares.iter_mut().enumerate() {
                    square(to, a, first, k + i * SIDE);
                }
                for (r, scale) in scale_of.iter().enumerate().take(count) {
                    let x = [squares[0][r], squares[1][r], squares[2][r], squares[3][r]];
                    store_row(to.add(r * SIDE), x, _mm512_set1_ps(*scale));
                }
            }
        }
    }
}

/// The digits of [`DEPTH`] numbers, those of a place next to each other: four numbers of the first
/// sixteen, four of each other sixteen, then the next four of each.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn store_row(to: *mut f32, x: [__m512; 4], scale: __m512) {
    let by_place =
        _mm512_broadcast_i32x4(_mm_setr_epi8(2, 6, 10, 14, 1, 5, 9, 13, 0, 4, 8, 12, 3, 7, 11, 15));
    let a = _mm512_shuffle_epi8(digits(x[0], scale), by_place);
    let b = _mm512_shuffle_epi8(digits(x[1], scale), by_place);
    let c = _mm512_shuffle_epi8(digits(x[2], scale), by_place);
    let d = _mm512_shuffle_epi8(digits(x[3], scale), by_place);
    let upper = [_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d)];
    let lower = [_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d)];
    let digits = [
        _mm512_unpacklo_epi64(upper[0], upper[1]),
        _mm512_unpackhi_epi64(upper[0], upper[1]),
        _mm512_unpacklo_epi64(lower[0], lower[1]),
    ];
    for (i, digits) in digits.into_iter().enumerate() {
        // SAFETY: the caller's.
        unsafe { _mm512_store_si512(to.add(i * FLOATS).cast(), with_signs(digits)) };
    }
}

/// Panels of a right matrix that are split together: two cache lines of every row.
pub(crate) const PANELS: usize = 2;

/// Columns `column..` of a right matrix, `panels` tiles of them, up to [`PANELS`]: those of each `apart`
/// floats after the ones before, in the same order; a row of a tile has four numbers of every column,
/// zeros beyond the matrix. The columns' scales follow each panel's tiles.
///
/// # Safety
/// AVX-512; `to` has room for `panels`, of `steps * DIGITS` tiles and [`SIDE`] floats each.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(crate) unsafe fn split_right(
    to: *mut f32,
    apart: usize,
    b: &Matrix,
    column: usize,
    panels: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        let mut largest = [_mm512_setzero_si512(); PANELS];
        if b.col_stride == 1 && panels == PANELS && column + PANELS * SIDE <= b.cols {
            for r in 0..b.rows {
                let at = b.data.as_ptr().add(r * b.row_stride + column);
                for (p, largest) in largest.iter_mut().enumerate() {
                    *largest = larger(*largest, _mm512_loadu_ps(at.add(p * SIDE)));
                }
            }
        } else {
            for (p, largest) in largest.iter_mut().enumerate().take(panels) {
                *largest = largest_of_columns(b, column + p * SIDE);
            }
        }
        let mut scale = [_mm512_setzero_ps(); PANELS];
        for p in 0..panels {
            let back;
            (scale[p], back) = scales(largest[p]);
            _mm512_store_ps(to.add(p * apart + steps(b.rows) * DIGITS * FLOATS), back);
        }
        for step in 0..steps(b.rows) {
            for i in 0..4 {
                for (p, scale) in scale.iter().enumerate().take(panels) {
                    // The order of terms that `store_row` has.
                    let to = to.add(p * apart + step * DIGITS * FLOATS + i * SIDE);
                    let (row, column) = (step * DEPTH + i * SIDE, column + p * SIDE);
                    if b.col_stride == 1 && row + SIDE <= b.rows && column + SIDE <= b.cols {
                        let at = b.data.as_ptr().add(row * b.row_stride + column);
                        for l in 0..4 {
                            let row =
                                |r: usize| _mm512_loadu_ps(at.add((4 * l + r) * b.row_stride));
                            let rows = [row(0), row(1), row(2), row(3)];
                            store_four(to.add(4 * l * SIDE), &rows, *scale);
                        }
                    } else {
                        let mut rows = [_mm512_setzero_ps(); SIDE];
                        square(&mut rows, b, row, column);
                        for (l, rows) in rows.as_chunks::<4>().0.iter().enumerate() {
                            store_four(to.add(4 * l * SIDE), rows, *scale);
                        }
                    }
                }
            }
        }
    }
}

/// The digits of four rows, those of a place and column next to each other.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
unsafe fn store_four(to: *mut f32, rows: &[__m512; 4], scale: __m512) {
    let [a, b] = [digits(rows[0], scale), digits(rows[1], scale)];
    let [c, d] = [digits(rows[2], scale), digits(rows[3], scale)];
    let (ab, cd) = (first_and_third(a, b), first_and_third(c, d));
    let first = _mm512_mask_blend_epi16(ODD_WORDS, _mm512_srli_epi32::<16>(ab), cd);
    let third = _mm512_mask_blend_epi16(ODD_WORDS, ab, _mm512_slli_epi32::<16>(cd));
    let ab = _mm512_mask_blend_epi8(ODD_BYTES, _mm512_srli_epi32::<8>(a), b);
    let cd = _mm512_mask_blend_epi8(ODD_BYTES, _mm512_srli_epi32::<8>(c), d);
    let second = _mm512_mask_blend_epi16(ODD_WORDS, ab, _mm512_slli_epi32::<16>(cd));
    for (i, digits) in [first, second, third].into_iter().enumerate() {
        // SAFETY: the caller's.
        unsafe { _mm512_store_si512(to.add(i * FLOATS).cast(), with_signs(digits)) };
    }
}

const ODD_BYTES: u64 = 0xaaaa_aaaa_aaaa_aaaa;
const ODD_WORDS: u32 = 0xaaaa_aaaa;

/// Third digits of two rows next to each other, then first ones.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn first_and_third(a: __m512i, b: __m512i) -> __m512i {
    _mm512_mask_blend_epi8(ODD_BYTES, a, _mm512_slli_epi32::<8>(b))
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
        if m.col_stride == 1 && rows >= SIDE && cols >= SIDE {
            for (r, row) in to.iter_mut().enumerate() {
                *row = _mm512_loadu_ps(at.add(r * m.row_stride));
            }
        } else if m.col_stride == 1 {
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
