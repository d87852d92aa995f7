//! What a subnet's first layer makes of the position alone.

use crate::coupling_stack::{BlockWeights, StackSize};
use crate::isa::{Isa, dispatch};
use crate::matrix::Matrix;
use crate::pool::sum_rows;
use crate::product::{Epilogue, product_once};
use std::ops::Range;

/// The code of every position (P, K), as a sum of parts.
///
/// A two-dimensional code gives every channel to the row or to the column of a position. Then the
/// product of the code with a layer is a sum of two products, of the codes of all rows and of all
/// columns, which are far fewer than positions.
#[derive(Clone, Debug)]
pub struct PositionCode {
    channels: usize,
    parts: Vec<Part>,
}

/// What [`PositionCode::products`] makes for one block: (rows, hidden) for each part.
#[derive(Clone, Debug, Default)]
pub(crate) struct PositionBias(Vec<Vec<f32>>);

/// Position `p` has row `p / run % rows` of `codes`, (rows, K).
#[derive(Clone, Debug)]
struct Part {
    codes: Vec<f32>,
    rows: usize,
    run: usize,
}

impl Part {
    fn row(&self, position: usize) -> usize {
        position / self.run % self.rows
    }
}

impl PositionCode {
    /// `code` (P, K), row-major, in parts where it can be.
    ///
    /// # Panics
    /// If `code` is not a whole number of rows of `channels` numbers.
    pub fn new(code: &[f32], channels: usize) -> Self {
        assert!(channels > 0 && code.len().is_multiple_of(channels));
        let positions = code.len() / channels;
        let widths = (2..positions).filter(|w| positions.is_multiple_of(*w));
        let parts = widths.into_iter().find_map(|w| separate(code, channels, w));
        let whole = || vec![Part { codes: code.to_vec(), rows: positions.max(1), run: 1 }];
        Self { channels, parts: parts.unwrap_or_else(whole) }
    }

    /// Channels K of a code.
    #[cfg(feature = "cuda")]
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// Codes (rows, K), rows and run of every part: position `p` has row `p / run % rows`.
    #[cfg(any(test, feature = "cuda"))]
    pub(crate) fn parts(&self) -> impl Iterator<Item = (&[f32], usize, usize)> {
        self.parts.iter().map(|p| (p.codes.as_slice(), p.rows, p.run))
    }

    /// The products of the parts with the first layer of a block, `b1` in the first.
    pub(crate) fn products(&self, size: &StackSize, w: &BlockWeights) -> PositionBias {
        let (h, k) = (size.hidden, self.channels);
        let of_code = Matrix::rows(&w.w1[size.first()..], h, k, size.input()).transposed();
        let parts = self.parts.iter().enumerate().map(|(i, part)| {
            let mut product = vec![0.0; part.rows * h];
            let codes = Matrix::rows(&part.codes, part.rows, k, k);
            let then = Epilogue { bias: (i == 0).then_some(w.b1), ..Epilogue::NONE };
            product_once(&mut product, h, codes, of_code, &then);
            product
        });
        PositionBias(parts.collect())
    }

    /// `code W1c^T + b1` of positions, (positions, hidden), from [`PositionCode::products`].
    pub(crate) fn bias(
        &self,
        products: &PositionBias,
        hidden: usize,
        positions: Range<usize>,
        out: &mut Vec<f32>,
    ) {
        out.clear();
        out.reserve(positions.len() * hidden);
        for p in positions {
            let start = out.len();
            for (i, (part, product)) in self.parts.iter().zip(&products.0).enumerate() {
                let row = &product[part.row(p) * hidden..][..hidden];
                match i {
                    0 => out.extend_from_slice(row),
                    _ => add(&mut out[start..], row),
                }
            }
        }
    }

    /// Adds `d^T code` to the columns of the condition in the gradient of W1, `d` (positions,
    /// hidden) being the gradient of [`PositionCode::bias`].
    pub(crate) fn gradient(
        &self,
        size: &StackSize,
        d: &[f32],
        positions: Range<usize>,
        w1: &mut [f32],
    ) {
        let (h, k) = (size.hidden, self.channels);
        for part in &self.parts {
            let mut sums = vec![0.0; part.rows * h];
            for (p, d) in positions.clone().zip(d.chunks_exact(h)) {
                sum_rows(d, &mut sums[part.row(p) * h..][..h]);
            }
            let sums = Matrix::rows(&sums, part.rows, h, h).transposed();
            let codes = Matrix::rows(&part.codes, part.rows, k, k);
            let at = &mut w1[size.first()..];
            product_once(at, size.input(), sums, codes, &Epilogue::ACCUMULATE);
        }
    }
}

/// Codes of columns and of rows, if every channel depends on one of the two in a map of `width`.
fn separate(code: &[f32], channels: usize, width: usize) -> Option<Vec<Part>> {
    let height = code.len() / channels / width;
    let at = |row: usize, column: usize| &code[(row * width + column) * channels..][..channels];
    let mut of_columns = vec![0.0; width * channels];
    let mut of_rows = vec![0.0; height * channels];
    for c in 0..channels {
        let all = |same: &dyn Fn(usize, usize) -> bool| {
            (0..height).all(|row| (0..width).all(|column| same(row, column)))
        };
        if all(&|row, column| at(row, column)[c] == at(0, column)[c]) {
            (0..width).for_each(|column| of_columns[column * channels + c] = at(0, column)[c]);
        } else if all(&|row, column| at(row, column)[c] == at(row, 0)[c]) {
            (0..height).for_each(|row| of_rows[row * channels + c] = at(row, 0)[c]);
        } else {
            return None;
        }
    }
    Some(vec![
        Part { codes: of_columns, rows: width, run: 1 },
        Part { codes: of_rows, rows: height, run: width },
    ])
}

dispatch!(fn add(y: &mut [f32], x: &[f32]) = add_body);
#[inline(always)]
fn add_body<I: Isa>(y: &mut [f32], x: &[f32]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows 3, columns 4: channel 0 by column, channel 1 by row.
    fn grid() -> Vec<f32> {
        (0..12).flat_map(|p| [(p % 4) as f32 * 0.5, (p / 4) as f32 - 1.0]).collect()
    }

    #[test]
    fn parts_give_what_the_whole_gives() {
        let size = StackSize { dim: 4, hidden: 3, condition: 2, clamp: 1.9 };
        let w1: Vec<f32> = (0..size.hidden * size.input()).map(|i| (i as f32).sin()).collect();
        let b1 = [0.1, -0.2, 0.3];
        let weights =
            BlockWeights { w1: &w1, b1: &b1, w2: &[], b2: &[], affine: vec![], rotation: &[] };
        let code = grid();
        let separable = PositionCode::new(&code, 2);
        assert_eq!(separable.parts.len(), 2);
        let parts = vec![Part { codes: code.clone(), rows: 12, run: 1 }];
        let whole = PositionCode { channels: 2, parts };
        let (mut a, mut b) = (Vec::new(), Vec::new());
        separable.bias(&separable.products(&size, &weights), 3, 2..11, &mut a);
        whole.bias(&whole.products(&size, &weights), 3, 2..11, &mut b);
        assert_eq!(a.len(), 27);
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6), "{a:?} {b:?}");
        let d: Vec<f32> = (0..27).map(|i| (i as f32).cos()).collect();
        let (mut a, mut b) = (vec![0.5; w1.len()], vec![0.5; w1.len()]);
        separable.gradient(&size, &d, 2..11, &mut a);
        whole.gradient(&size, &d, 2..11, &mut b);
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} {b:?}");
        assert!(a.iter().any(|a| (a - 0.5).abs() > 0.1));
    }

    #[test]
    fn a_code_of_no_grid_stays_whole() {
        let mut code = grid();
        code[5] += 0.25;
        assert_eq!(PositionCode::new(&code, 2).parts.len(), 1);
    }
}
