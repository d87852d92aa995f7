//! A matrix over a slice, for products.

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

    /// Its rows to `to`, which holds as many, zeros up to `width` after each.
    pub(crate) fn copy_to(&self, to: &mut [f32], width: usize) {
        self.copy_within(to, width);
        if width > self.cols {
            to.chunks_exact_mut(width).take(self.rows).for_each(|row| row[self.cols..].fill(0.0));
        }
    }

    /// Its rows to the beginnings of those of `to`, `width` elements apart.
    pub(crate) fn copy_within(&self, to: &mut [f32], width: usize) {
        if self.col_stride == 1 {
            for (row, to) in to.chunks_exact_mut(width.max(1)).take(self.rows).enumerate() {
                to[..self.cols].copy_from_slice(&self.data[row * self.row_stride..][..self.cols]);
            }
            return;
        }
        // Rows that are transposed are read in runs of a cache line, else every number misses it.
        const RUN: usize = 16;
        for (i, to) in to.chunks_mut(RUN * width).enumerate() {
            for j in 0..self.cols {
                let from = &self.data[i * RUN * self.row_stride + j * self.col_stride..];
                let from = from.iter().step_by(self.row_stride);
                to[j..].iter_mut().step_by(width).zip(from).for_each(|(t, f)| *t = *f);
            }
        }
    }
}
