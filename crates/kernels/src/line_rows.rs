//! A matrix in rows that begin at cache lines, as products that leave out zeros read their right one.

use crate::matrix::Matrix;
use crate::packed::{Line, as_floats, as_floats_mut};

/// A matrix (K, N), its rows padded with zeros to whole cache lines.
#[derive(Clone, Debug)]
pub(crate) struct LineRows {
    lines: Vec<Line>,
    rows: usize,
    cols: usize,
}

impl LineRows {
    pub(crate) fn new(b: Matrix) -> Self {
        let mut made = Self { lines: Vec::new(), rows: 0, cols: 0 };
        made.refill(b);
        made
    }

    /// Takes `b` into the same memory.
    pub(crate) fn refill(&mut self, b: Matrix) {
        (self.rows, self.cols) = (b.rows, b.cols);
        let stride = self.stride();
        self.lines.resize(b.rows * stride / Line::FLOATS, Line::ZERO);
        b.copy_to(as_floats_mut(&mut self.lines), stride);
    }

    /// Numbers from a row to the next.
    pub(crate) fn stride(&self) -> usize {
        self.cols.next_multiple_of(Line::FLOATS)
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn cols(&self) -> usize {
        self.cols
    }

    pub(crate) fn floats(&self) -> &[f32] {
        as_floats(&self.lines)
    }

    /// As a matrix.
    pub(crate) fn matrix(&self) -> Matrix<'_> {
        Matrix::rows(self.floats(), self.rows, self.cols, self.stride())
    }
}
