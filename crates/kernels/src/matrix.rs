//! A matrix over a slice, for products.

use crate::packed::gather;
use std::ops::Range;

/// A matrix over a slice: element `(i, j)` is `data[i * row_stride + j * col_stride]`.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row_stride: usize,
    pub(crate) col_stride: usize,
}

impl<'a> Matrix<'a> {
    /// Row-major, rows `stride` elements apart.
    pub(crate) fn rows(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        assert!(rows == 0 || cols == 0 || (rows - 1) * stride + cols <= data.len());
        Self { data, rows, cols, row_stride: stride, col_stride: 1 }
    }

    /// Some of its rows.
    pub(crate) fn part(self, rows: Range<usize>) -> Self {
        let data = self.data.get(rows.start * self.row_stride..).unwrap_or(&[]);
        Self { data, rows: rows.len(), ..self }
    }

    /// Some of its columns.
    pub(crate) fn columns(self, columns: Range<usize>) -> Self {
        self.transposed().part(columns).transposed()
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
            ..self
        }
    }

    /// Its rows to `to`, zeros up to `width` after each.
    pub(crate) fn copy_to(&self, to: &mut [f32], width: usize) {
        if self.col_stride != 1 {
            return gather(to, width, self, 0, self.cols);
        }
        for (row, to) in to.chunks_exact_mut(width.max(1)).take(self.rows).enumerate() {
            to[..self.cols].copy_from_slice(&self.data[row * self.row_stride..][..self.cols]);
            to[self.cols..].fill(0.0);
        }
    }
}
