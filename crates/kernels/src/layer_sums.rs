//! The gradient of a layer's weights, added up over tiles.

use crate::matrix::Matrix;
use crate::nonzeros::NonZeros;
use crate::pool::sum_rows;
use crate::product::{Epilogue, product};
use crate::rectified::RightMatrix;
use crate::sparse_product::Start;

/// Sums (hidden, columns) of what a rectifier left, transposed, times other rows.
///
/// Either product adds to rows of the left matrix that it reads fastest, so the sums lie as the
/// first tile since [`LayerSums::clear`] wanted.
pub(crate) struct LayerSums {
    /// Rows (hidden) of `stride` numbers if `sparse`, else transposed: (columns, hidden).
    sums: Vec<f32>,
    hidden: usize,
    columns: usize,
    /// Not known before the first tile.
    sparse: Option<bool>,
    /// No tile has been added: what is in `sums` is of a step before.
    none: bool,
}

impl LayerSums {
    pub(crate) fn new(hidden: usize, columns: usize) -> Self {
        let sums = vec![0.0; hidden * stride(columns)];
        Self { sums, hidden, columns, sparse: None, none: true }
    }

    pub(crate) fn clear(&mut self) {
        (self.sparse, self.none) = (None, true);
    }

    /// Whether zeros are left out, as the first tile since [`LayerSums::clear`] was asked.
    pub(crate) fn choose(&mut self, sparse: bool) -> bool {
        *self.sparse.get_or_insert(sparse)
    }

    /// Adds `left^T right`, `left` (vectors, hidden) and `right` (vectors, columns), the latter by
    /// way of `memory`; `channels`: what is not zero in `left^T`, read if zeros are left out.
    pub(crate) fn add(
        &mut self,
        left: Matrix,
        channels: &NonZeros,
        right: Matrix,
        memory: &mut RightMatrix,
    ) {
        let sums = &mut self.sums;
        let first = std::mem::replace(&mut self.none, false);
        if self.sparse == Some(true) {
            if first {
                sums.fill(0.0);
            }
            memory.refill_rows(right);
            let to = stride(self.columns);
            memory.product(sums, to, left.transposed(), Some(channels), Start::Output);
        } else {
            memory.refill_panels(left);
            let panels = memory.panels();
            let then = Epilogue { accumulate: !first, ..Epilogue::NONE };
            product(sums, self.hidden, right.transposed(), panels, &then);
        }
    }

    /// The sums so far (hidden, columns).
    pub(crate) fn total(&mut self) -> Matrix<'_> {
        if std::mem::replace(&mut self.none, false) {
            self.sums.fill(0.0);
        }
        self.matrix()
    }

    /// As [`LayerSums::total`], of one tile at least.
    fn matrix(&self) -> Matrix<'_> {
        match self.sparse {
            Some(true) => Matrix::rows(&self.sums, self.hidden, self.columns, stride(self.columns)),
            _ => Matrix::rows(&self.sums, self.columns, self.hidden, self.hidden).transposed(),
        }
    }

    /// Adds those of other tiles.
    pub(crate) fn join(&mut self, other: &Self) {
        if other.none {
            return;
        }
        if self.none {
            self.sums.copy_from_slice(&other.sums);
            (self.sparse, self.none) = (other.sparse, false);
            return;
        }
        if self.sparse == other.sparse {
            return sum_rows(&other.sums, &mut self.sums);
        }
        let mut same = Self::new(self.hidden, self.columns);
        match self.sparse {
            Some(true) => other.matrix().copy_to(&mut same.sums, stride(self.columns)),
            _ => other.matrix().transposed().copy_to(&mut same.sums, self.hidden),
        }
        sum_rows(&same.sums, &mut self.sums);
    }
}

/// Whole cache lines, so that sums of a row begin at one.
fn stride(columns: usize) -> usize {
    columns.next_multiple_of(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors 5, hidden 50, columns 3.
    fn sums_of(left: &[f32], right: &[f32], sparse: bool) -> LayerSums {
        let (left, right) = (Matrix::rows(left, 5, 50, 50), Matrix::rows(right, 5, 3, 3));
        let (mut sums, mut channels) = (LayerSums::new(50, 3), NonZeros::default());
        channels.refill(&left.transposed());
        assert_eq!(sums.choose(sparse), sparse);
        assert_eq!(sums.choose(!sparse), sparse);
        sums.add(left, &channels, right, &mut RightMatrix::empty());
        sums
    }

    #[test]
    fn sums_join_however_they_lie() {
        let left: Vec<f32> = (0..250).map(|i| (i % 7) as f32 - 3.0).map(|x| x.max(0.0)).collect();
        let right: Vec<f32> = (0..15).map(|i| i as f32 - 6.5).collect();
        for (a, b) in [(true, true), (true, false), (false, true), (false, false)] {
            // What is left of a step before.
            let mut sums = sums_of(&left, &[9.0; 15], b);
            sums.clear();
            sums.join(&LayerSums::new(50, 3));
            sums.join(&sums_of(&left, &right, a));
            sums.join(&LayerSums::new(50, 3));
            sums.join(&sums_of(&left, &right, b));
            let mut made = vec![0.5; 50 * 4];
            sums.total().copy_to(&mut made, 4);
            for (at, made) in made.iter().enumerate() {
                let (h, c) = (at / 4, at % 4);
                let term = |v: usize| if c < 3 { left[v * 50 + h] * right[v * 3 + c] } else { 0.0 };
                assert_eq!(*made, 2.0 * (0..5).map(term).sum::<f32>(), "{h}, {c}");
            }
        }
    }

    #[test]
    fn tiles_add_to_those_of_their_step_alone() {
        let (ones, right) = ([1.0; 250], [2.0; 15]);
        for sparse in [true, false] {
            let mut sums = sums_of(&ones, &right, sparse);
            sums.clear();
            assert!(sums.total().data.iter().all(|x| *x == 0.0));
            sums.clear();
            let (left, right) = (Matrix::rows(&ones, 5, 50, 50), Matrix::rows(&right, 5, 3, 3));
            let mut channels = NonZeros::default();
            channels.refill(&left.transposed());
            sums.choose(sparse);
            for tiles in 1..3 {
                sums.add(left, &channels, right, &mut RightMatrix::empty());
                let mut made = [0.0; 150];
                sums.total().copy_to(&mut made, 3);
                assert_eq!(made, [10.0 * tiles as f32; 150]);
            }
        }
    }
}
