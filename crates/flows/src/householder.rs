//! A rotation with learned reflections.

use crate::{Bijection, FlowError, Mixing, check, random_rotation};
use candle_core::Tensor;
use hgad_kernels::{Rectifier, linear};
use hgad_parameters::{Parameters, Weight};

/// `z = x R^T`, `R = R_0 H_1 ... H_k`, `H_i = I - 2 v_i v_i^T / |v_i|²` (Tomczak and Welling,
/// 2016): R_0 a fixed random rotation, the vectors `v_i` trained. Orthogonal whatever they are.
/// Parameters are FrEIA's `w_0` and `vk_householder` (k, D).
pub struct Householder {
    dim: usize,
    base: Weight,
    vectors: Weight,
}

impl Householder {
    /// With `reflections` vectors drawn from N(0, 0.2²), as FrEIA has them.
    ///
    /// # Errors
    /// No dimension or no reflections.
    pub fn new(parameters: &Parameters, dim: usize, reflections: usize) -> Result<Self, FlowError> {
        check::at_least("dim", dim, 1, "a vector has entries")?;
        check::at_least("reflections", reflections, 1, "expected at least 1 learned reflection")?;
        let base = random_rotation(dim, &mut parameters.draws("w_0"));
        let mut draws = parameters.draws("vk_householder");
        let start = (0..reflections * dim).map(|_| 0.2 * draws.normal()).collect();
        Ok(Self {
            dim,
            base: parameters.fixed("w_0", (dim, dim), base)?,
            vectors: parameters.trainable("vk_householder", (reflections, dim), start)?,
        })
    }
}

impl Mixing for Householder {
    fn matrix(&self) -> Result<Tensor, FlowError> {
        let (mut r, vectors) = (self.base.get(), self.vectors.get());
        for i in 0..vectors.dim(0)? {
            let v = vectors.narrow(0, i, 1)?;
            let share = r.matmul(&v.t()?)?.broadcast_div(&v.sqr()?.sum_keepdim(1)?)?;
            r = (r - (share.matmul(&v)? * 2.0)?)?;
        }
        Ok(r)
    }

    fn learned(&self) -> bool {
        true
    }
}

impl Bijection for Householder {
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
        Ok((multiply(x, &self.matrix()?)?, check::no_change(x)?))
    }

    fn inverse(
        &self,
        z: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        check::plain_rows(z, self.dim, condition)?;
        Ok((multiply(z, &self.matrix()?.t()?)?, check::no_change(z)?))
    }
}

/// `x W^T` with gradients for both.
pub(crate) fn multiply(x: &Tensor, w: &Tensor) -> Result<Tensor, FlowError> {
    let none = Tensor::zeros((1, w.dim(0)?), w.dtype(), w.device())?;
    Ok(linear(x, w, &none, Rectifier::None)?)
}
