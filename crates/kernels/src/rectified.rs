//! Products with what a rectifier left: its zeros are left out where that is faster.

use crate::line_rows::LineRows;
use crate::matrix::Matrix;
use crate::nonzeros::NonZeros;
use crate::packed::Packed;
use crate::product::{Epilogue, product};
use crate::sparse_product::{Start, sparse_product};

/// Whether a product of so many columns is faster without zeros, if that share of its left matrix
/// is not zero.
///
/// Measured on a Zen 3 with 20 to 320 columns: a term that is not left out takes 1.4 to 1.7 times
/// what a term of a dense product takes, and what is done once a term weighs more in short rows.
pub(crate) fn is_sparse(share: f32, columns: usize) -> bool {
    share * (1.5 + 24.0 / columns as f32) < 1.0
}

/// Rows that tell of a tile.
const SAMPLE: usize = 16;

/// A right matrix as either product reads it.
///
/// With tiles no zeros are left out, which would hardly be faster: 25 passes of the demo, of whose
/// numbers most are zero later, took 19.3 to 21.0 s on an Emerald Rapids, some or none left out.
#[derive(Clone, Debug)]
pub(crate) struct RightMatrix {
    /// Of no use where the panels are in tiles.
    rows: LineRows,
    panels: Packed,
}

impl RightMatrix {
    /// For both products.
    pub(crate) fn new(b: Matrix) -> Self {
        let mut made = Self::empty();
        made.refill(b);
        made
    }

    /// Of no numbers yet.
    pub(crate) fn empty() -> Self {
        let none = Matrix::rows(&[], 0, 0, 0);
        Self { rows: LineRows::new(none), panels: Packed::for_tiles(none) }
    }

    /// The share of `a`, a left matrix, that is not zero, by its first rows, where that matters, else
    /// 1; `memory` is spent.
    pub(crate) fn share_of_nonzeros(&self, a: &Matrix, memory: &mut NonZeros) -> f32 {
        if self.panels.in_tiles() {
            return 1.0;
        }
        memory.refill(&a.part(0..a.rows.min(SAMPLE)));
        memory.share()
    }

    /// New numbers for both products in the same memory.
    pub(crate) fn refill(&mut self, b: Matrix) {
        if Packed::would_tile(&b) {
            self.panels.refill(b);
        } else {
            self.rows.refill(b);
            // From there, for a matrix that is transposed is slow to read.
            self.panels.refill(self.rows.matrix());
        }
    }

    /// New rows, for products that leave out zeros, alone.
    pub(crate) fn refill_rows(&mut self, b: Matrix) {
        self.rows.refill(b);
    }

    /// New panels, for dense products, alone.
    pub(crate) fn refill_panels(&mut self, b: Matrix) {
        self.panels.refill(b);
    }

    pub(crate) fn panels(&self) -> &Packed {
        &self.panels
    }

    /// `dst = a b + start`, without the terms for which `nonzeros` has no bit if it is given; see
    /// [`sparse_product`].
    pub(crate) fn product(
        &self,
        dst: &mut [f32],
        stride: usize,
        a: Matrix,
        nonzeros: Option<&NonZeros>,
        start: Start,
    ) {
        match (nonzeros, start) {
            (Some(nonzeros), _) => sparse_product(dst, stride, a, nonzeros, &self.rows, start),
            (None, Start::Output) => product(dst, stride, a, &self.panels, &Epilogue::ACCUMULATE),
            (None, Start::Bias(bias)) => {
                let then = Epilogue { bias: Some(bias), ..Epilogue::NONE };
                product(dst, stride, a, &self.panels, &then);
            }
        }
    }
}
