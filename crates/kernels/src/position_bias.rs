//! What a subnet's first layer makes of the position alone.

use crate::coupling_stack::{BlockWeights, StackSize};
use crate::isa::{Isa, dispatch};
use crate::matrix::Matrix;
use crate::packed::Packed;
use crate::pool::sum_rows;
use crate::product::{Epilogue, product, product_once};
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

/// Gradients of [`PositionCode::bias`], added up over the positions that share a row of a part:
/// (rows, hidden) for each part.
#[derive(Clone, Debug)]
pub(crate) struct PositionSums(Vec<Vec<f32>>);

impl PositionSums {
    /// Of no position; without a code all positions share one row.
    pub(crate) fn new(code: Option<&PositionCode>, hidden: usize) -> Self {
        let rows = code.map_or(vec![1], |code| code.parts.iter().map(|p| p.rows).collect());
        Self(rows.into_iter().map(|rows| vec![0.0; rows * hidden]).collect())
    }

    pub(crate) fn clear(&mut self) {
        self.0.iter_mut().for_each(|sums| sums.fill(0.0));
    }

    /// Adds `d` (hidden), the gradient of one position's bias.
    pub(crate) fn add(&mut self, code: Option<&PositionCode>, position: usize, d: &[f32]) {
        match code {
            None => add(&mut self.0[0], d),
            Some(code) => {
                for (sums, part) in self.0.iter_mut().zip(&code.parts) {
                    add(&mut sums[part.row(position) * d.len()..][..d.len()], d);
                }
            }
        }
    }

    /// Adds those of other positions.
    pub(crate) fn join(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| add(own, other));
    }

    /// The gradient of b1 (hidden), every position being in one row of the first part.
    pub(crate) fn bias(&self, b1: &mut [f32]) {
        b1.fill(0.0);
        sum_rows(&self.0[0], b1);
    }
}

/// Position `p` has row `p / run % rows` of `codes`, (rows, channels).
#[derive(Clone, Debug)]
struct Part {
    codes: Vec<f32>,
    rows: usize,
    run: usize,
    /// Those of the K that the part has.
    channels: Range<usize>,
    /// The codes transposed, (channels, rows).
    columns: Packed,
}

impl Part {
    /// Of `codes` (rows, K).
    fn new(codes: &[f32], k: usize, run: usize, channels: Range<usize>) -> Self {
        let rows = codes.len() / k;
        let codes: Vec<f32> =
            codes.chunks_exact(k).flat_map(|row| &row[channels.clone()]).copied().collect();
        let all = Matrix::rows(&codes, rows, channels.len(), channels.len());
        let columns = Packed::new(all.transposed());
        Self { codes, rows, run, channels, columns }
    }

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
        let whole = || vec![Part::new(code, channels, 1, 0..channels)];
        Self { channels, parts: parts.unwrap_or_else(whole) }
    }

    /// Channels K of a code.
    #[cfg(feature = "cuda")]
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// Codes (rows, K), rows and run of every part: position `p` has row `p / run % rows`.
    #[cfg(any(test, feature = "cuda"))]
    pub(crate) fn parts(&self) -> impl Iterator<Item = (Vec<f32>, usize, usize)> {
        self.parts.iter().map(|p| {
            let mut codes = vec![0.0; p.rows * self.channels];
            let own = p.codes.chunks_exact(p.channels.len());
            codes
                .chunks_exact_mut(self.channels)
                .zip(own)
                .for_each(|(row, own)| row[p.channels.clone()].copy_from_slice(own));
            (codes, p.rows, p.run)
        })
    }

    /// The products of the parts with the first layer of a block, `b1` in the first.
    pub(crate) fn products(&self, size: &StackSize, w: &BlockWeights) -> PositionBias {
        let (h, k) = (size.hidden, self.channels);
        let of_code = Matrix::rows(&w.w1[size.first()..], h, k, size.input());
        let parts = self.parts.iter().enumerate().map(|(i, part)| {
            // The other way round the layer, far larger than the codes, would be packed.
            let of_code = of_code.columns(part.channels.clone());
            let mut columns = vec![0.0; h * part.rows];
            product(&mut columns, part.rows, of_code, &part.columns, &Epilogue::NONE);
            let mut rows = vec![0.0; part.rows * h];
            for (row, out) in rows.chunks_exact_mut(h).enumerate() {
                let column = columns[row..].iter().step_by(part.rows);
                match i {
                    0 => out.iter_mut().zip(column).zip(w.b1).for_each(|((o, c), b)| *o = c + b),
                    _ => out.iter_mut().zip(column).for_each(|(o, c)| *o = *c),
                }
            }
            rows
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

    /// The columns of the condition in the gradient of W1, from the gradients of
    /// [`PositionCode::bias`] of all positions.
    pub(crate) fn gradient(&self, size: &StackSize, sums: &PositionSums, w1: &mut [f32]) {
        let h = size.hidden;
        for (i, (part, sums)) in self.parts.iter().zip(&sums.0).enumerate() {
            let (from, k) = (part.channels.start, part.channels.len());
            let sums = Matrix::rows(sums, part.rows, h, h).transposed();
            let codes = Matrix::rows(&part.codes, part.rows, k, k);
            // Parts have channels of their own, or each has all.
            let again = i > 0 && part.channels == self.parts[0].channels;
            let then = Epilogue { accumulate: again, ..Epilogue::NONE };
            product_once(&mut w1[size.first() + from..], size.input(), sums, codes, &then);
        }
    }
}

/// Codes of columns and of rows, if every channel depends on one of the two in a map of `width`.
fn separate(code: &[f32], channels: usize, width: usize) -> Option<Vec<Part>> {
    let height = code.len() / channels / width;
    let at = |row: usize, column: usize| &code[(row * width + column) * channels..][..channels];
    let mut of_columns = vec![0.0; width * channels];
    let mut of_rows = vec![0.0; height * channels];
    // From the first to the last of each.
    let (mut by_column, mut by_row) = (channels..0, channels..0);
    let take = |range: &mut Range<usize>, c| *range = range.start.min(c)..c + 1;
    for c in 0..channels {
        let all = |same: &dyn Fn(usize, usize) -> bool| {
            (0..height).all(|row| (0..width).all(|column| same(row, column)))
        };
        if all(&|row, column| at(row, column)[c] == at(0, column)[c]) {
            (0..width).for_each(|column| of_columns[column * channels + c] = at(0, column)[c]);
            take(&mut by_column, c);
        } else if all(&|row, column| at(row, column)[c] == at(row, 0)[c]) {
            (0..height).for_each(|row| of_rows[row * channels + c] = at(row, 0)[c]);
            take(&mut by_row, c);
        } else {
            return None;
        }
    }
    // In pieces that do not overlap each has only its own, else both have all.
    let apart = by_column.end <= by_row.start || by_row.end <= by_column.start;
    if !apart || by_column.is_empty() || by_row.is_empty() {
        (by_column, by_row) = (0..channels, 0..channels);
    }
    Some(vec![
        Part::new(&of_columns, channels, 1, by_column),
        Part::new(&of_rows, channels, width, by_row),
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

    /// Rows 3, columns 4, channels `C` by column and `R` by row.
    fn grid(channels: &str) -> Vec<f32> {
        let of = |p: usize, (i, by)| match by {
            'C' => (p % 4) as f32 * 0.5 - i as f32,
            _ => (p / 4) as f32 - 1.0 + i as f32,
        };
        (0..12).flat_map(|p| channels.chars().enumerate().map(move |c| of(p, c))).collect()
    }

    #[test]
    fn parts_give_what_the_whole_gives() {
        for channels in ["CR", "CCR", "RCC", "CRC", "RR", "CC"] {
            parts_of(channels);
        }
    }

    fn parts_of(channels: &str) {
        let k = channels.len();
        let size = StackSize { dim: 4, hidden: 3, condition: k, clamp: 1.9 };
        let w1: Vec<f32> = (0..size.hidden * size.input()).map(|i| (i as f32).sin()).collect();
        let b1 = [0.1, -0.2, 0.3];
        let weights =
            BlockWeights { w1: &w1, b1: &b1, w2: &[], b2: &[], affine: vec![], rotation: &[] };
        let code = grid(channels);
        let separable = PositionCode::new(&code, k);
        assert_eq!(separable.parts.len(), 2);
        let of_parts: usize = separable.parts.iter().map(|p| p.channels.len()).sum();
        assert_eq!(of_parts == k, ["CR", "CCR", "RCC"].contains(&channels), "{channels}");
        let whole = PositionCode { channels: k, parts: vec![Part::new(&code, k, 1, 0..k)] };
        let (mut a, mut b) = (Vec::new(), Vec::new());
        separable.bias(&separable.products(&size, &weights), 3, 2..11, &mut a);
        whole.bias(&whole.products(&size, &weights), 3, 2..11, &mut b);
        assert_eq!(a.len(), 27);
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6), "{a:?} {b:?}");
        let d: Vec<f32> = (0..27).map(|i| (i as f32).cos()).collect();
        let gradients = [Some(&separable), Some(&whole), None].map(|code| {
            let mut sums = PositionSums::new(code, 3);
            (2..11).zip(d.chunks_exact(3)).for_each(|(p, d)| sums.add(code, p, d));
            let (mut w1, mut b1) = (vec![0.5; w1.len()], [0.5; 3]);
            if let Some(code) = code {
                code.gradient(&size, &sums, &mut w1);
            }
            sums.bias(&mut b1);
            (w1, b1)
        });
        let [(a, a1), (b, b1), (_, c1)] = &gradients;
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} {b:?}");
        assert!(a.iter().any(|a| (a - 0.5).abs() > 0.1));
        let mut sum = [0.0; 3];
        sum_rows(&d, &mut sum);
        for b1 in [a1, b1, c1] {
            assert!(b1.iter().zip(sum).all(|(b, s)| (b - s).abs() < 1e-5), "{b1:?} {sum:?}");
        }
    }

    #[test]
    fn a_code_of_no_grid_stays_whole() {
        let mut code = grid("CR");
        code[5] += 0.25;
        assert_eq!(PositionCode::new(&code, 2).parts.len(), 1);
    }
}
