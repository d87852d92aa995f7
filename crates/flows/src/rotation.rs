//! Fixed rotations and permutations of the entries of a vector.

use crate::lu_factors::LuFactors;
use crate::{Bijection, FlowError, Mixing, check};
use candle_core::Tensor;
use hgad_kernels::rotate;
use hgad_parameters::{Draws, Parameters, Weight};

/// `z = x R^T` with an orthogonal R that is drawn once and not trained, `w_perm` (D, D) as FrEIA
/// names it.
pub struct Rotation {
    dim: usize,
    matrix: Weight,
}

impl Rotation {
    /// R drawn uniformly from the rotations: FrEIA's soft permutation.
    ///
    /// # Errors
    /// No dimension.
    pub fn soft(parameters: &Parameters, dim: usize) -> Result<Self, FlowError> {
        Self::new(parameters, dim, random_rotation(dim, &mut parameters.draws("w_perm")))
    }

    /// R a permutation drawn uniformly.
    ///
    /// # Errors
    /// No dimension.
    pub fn hard(parameters: &Parameters, dim: usize) -> Result<Self, FlowError> {
        let order = parameters.draws("w_perm").permutation(dim);
        let mut matrix = vec![0.0; dim * dim];
        order.iter().enumerate().for_each(|(row, column)| matrix[row * dim + column] = 1.0);
        Self::new(parameters, dim, matrix)
    }

    fn new(parameters: &Parameters, dim: usize, matrix: Vec<f64>) -> Result<Self, FlowError> {
        check::at_least("dim", dim, 1, "a vector has entries")?;
        Ok(Self { dim, matrix: parameters.fixed("w_perm", (dim, dim), matrix)? })
    }
}

impl Mixing for Rotation {
    fn matrix(&self) -> Result<Tensor, FlowError> {
        Ok(self.matrix.get())
    }

    fn learned(&self) -> bool {
        false
    }
}

impl Bijection for Rotation {
    fn dim(&self) -> usize {
        self.dim
    }

    fn condition_dim(&self) -> usize {
        0
    }

    fn forward(
        &self,
        x: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        check::plain_rows(x, self.dim, condition)?;
        Ok((rotate(x, &self.matrix.get())?, check::no_change(x)?))
    }

    fn inverse(
        &self,
        z: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        check::plain_rows(z, self.dim, condition)?;
        Ok((rotate(z, &self.matrix.get().t()?.contiguous()?)?, check::no_change(z)?))
    }
}

/// A rotation drawn uniformly from SO(`dim`) (Haar measure), row-major: the orthogonal factor of
/// a Gaussian matrix with the signs of its triangular factor's diagonal (Mezzadri, 2007), one
/// row turned where the determinant is -1.
pub fn random_rotation(dim: usize, draws: &mut Draws) -> Vec<f64> {
    // Gram-Schmidt with a second pass is the QR factor with a positive diagonal.
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(dim);
    for _ in 0..dim {
        let mut row: Vec<f64> = (0..dim).map(|_| draws.normal()).collect();
        for _ in 0..2 {
            for done in &rows {
                let overlap: f64 = done.iter().zip(&row).map(|(a, b)| a * b).sum();
                row.iter_mut().zip(done).for_each(|(r, d)| *r -= overlap * d);
            }
        }
        let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        row.iter_mut().for_each(|v| *v /= norm);
        rows.push(row);
    }
    let turned = LuFactors::of(rows.concat(), dim).sign() < 0.0;
    if turned {
        rows[0].iter_mut().for_each(|v| *v = -*v);
    }
    rows.concat()
}
