//! Separable complex filters of a plane, for banks of oriented filters.

use crate::isa::{Isa, dispatch};

/// A complex filter of odd length: real and imaginary taps.
#[derive(Clone, Debug, PartialEq)]
pub struct ComplexTaps {
    /// Real parts.
    pub re: Vec<f32>,
    /// Imaginary parts.
    pub im: Vec<f32>,
}

/// `plane` (`height` x `width`, row-major) filtered along rows with `row` and along columns with
/// `column` (correlation), borders reflected (`c b | a b c`): real and imaginary planes. One
/// thread; callers run planes side by side.
///
/// # Panics
/// If the plane has another size, or a filter is of even length or longer than the plane allows
/// (its radius must be below both sides).
pub fn complex_filter(
    plane: &[f32],
    height: usize,
    width: usize,
    row: &ComplexTaps,
    column: &ComplexTaps,
) -> (Vec<f32>, Vec<f32>) {
    assert_eq!(plane.len(), height * width, "a plane of {height}x{width}");
    let radius = row.re.len() / 2;
    assert!(row.re.len() % 2 == 1 && column.re.len() % 2 == 1);
    assert!(radius < width && column.re.len() / 2 < height);
    let mut across = (vec![0.0; plane.len()], vec![0.0; plane.len()]);
    let mut padded = vec![0.0; width + 2 * radius];
    for (y, line) in plane.chunks_exact(width).enumerate() {
        for (i, p) in padded.iter_mut().enumerate() {
            *p = line[mirror(i as isize - radius as isize, width)];
        }
        let at = y * width..(y + 1) * width;
        real_row(&padded, &row.re, &mut across.0[at.clone()]);
        real_row(&padded, &row.im, &mut across.1[at]);
    }
    let mut out = (vec![0.0; plane.len()], vec![0.0; plane.len()]);
    let radius = column.re.len() / 2;
    for y in 0..height {
        let at = y * width..(y + 1) * width;
        let (re, im) = (&mut out.0[at.clone()], &mut out.1[at]);
        for i in 0..column.re.len() {
            let from = mirror((y + i) as isize - radius as isize, height) * width;
            let line = (&across.0[from..from + width], &across.1[from..from + width]);
            complex_row(line, (column.re[i], column.im[i]), re, im);
        }
    }
    out
}

fn mirror(i: isize, len: usize) -> usize {
    let last = len as isize - 1;
    let i = i.abs();
    (if i > last { 2 * last - i } else { i }) as usize
}

dispatch!(fn real_row(padded: &[f32], taps: &[f32], out: &mut [f32]) = real_row_body);
#[inline(always)]
fn real_row_body<I: Isa>(padded: &[f32], taps: &[f32], out: &mut [f32]) {
    for (i, tap) in taps.iter().enumerate() {
        out.iter_mut().zip(&padded[i..]).for_each(|(o, p)| *o = I::madd(*tap, *p, *o));
    }
}

dispatch!(fn complex_row(line: (&[f32], &[f32]), tap: (f32, f32), re: &mut [f32], im: &mut [f32]) = complex_row_body);
#[inline(always)]
fn complex_row_body<I: Isa>(
    line: (&[f32], &[f32]),
    tap: (f32, f32),
    re: &mut [f32],
    im: &mut [f32],
) {
    for (((a, b), re), im) in line.0.iter().zip(line.1).zip(re).zip(im) {
        *re = I::madd(tap.0, *a, I::madd(-tap.1, *b, *re));
        *im = I::madd(tap.0, *b, I::madd(tap.1, *a, *im));
    }
}
