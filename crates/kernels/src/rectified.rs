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
/// With tiles it hardly matters: 25 passes of the demo, of whose numbers most are zero later, take 19.3
/// and 20.5 s on an Emerald Rapids with 5 below, 19.7 and 21.0 with 3, 19.4 and 20.9 all dense, in turn.
pub(crate) fn is_sparse(share: f32, columns: usize, in_tiles: bool) -> bool {
    let dearer = match in_tiles {
        true => 5.0,
        false => 1.5,
    };
    share * (dearer + 24.0 / columns as f32) < 1.0
}

/// The share of `a` that is not zero, by its first rows; `memory` is spent.
pub(crate) fn share_of_nonzeros(a: &Matrix, memory: &mut NonZeros) -> f32 {
    memory.refill(&a.part(0..a.rows.min(SAMPLE)));
    memory.share()
}

/// Rows that tell of a tile.
const SAMPLE: usize = 16;

/// A right matrix as either product reads it.
#[derive(Clone, Debug)]
pub(crate) struct RightMatrix {
    rows: LineRows,
    panels: Packed,
}

impl RightMatrix {
    /// For both products.
    pub(crate) fn new(b: Matrix) -> Self {
        let rows = LineRows::new(b);
        let panels = Packed::for_tiles(rows.matrix());
        Self { rows, panels }
    }

    /// Of no numbers yet.
    pub(crate) fn empty() -> Self {
        Self::new(Matrix::rows(&[], 0, 0, 0))
    }

    /// As the function of that name, for products with this matrix.
    pub(crate) fn is_sparse(&self, share: f32) -> bool {
        is_sparse(share, self.panels.columns(), self.panels.in_tiles())
    }

    /// New numbers for both products in the same memory.
    pub(crate) fn refill(&mut self, b: Matrix) {
        self.rows.refill(b);
        // From there, for a matrix that is transposed is slow to read.
        self.panels.refill(self.rows.matrix());
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
