//! An invertible matrix, learned by its triangular factors.

use crate::householder::multiply;
use crate::lu_factors::LuFactors;
use crate::{Bijection, FlowError, Mixing, check, random_rotation};
use candle_core::{DType, Device, Tensor};
use hgad_parameters::{Parameters, Weight};

/// `z = x W^T`, `W = P L (U + diag(s))`: Glow's invertible 1x1 convolution (Kingma and Dhariwal,
/// NeurIPS 2018, eq. 10). The permutation P and the signs of `s` stay as they start; L, whose
/// diagonal is 1, U, whose diagonal is 0, and `ln |s|` are trained. `ln |det W| = sum ln |s|`.
pub struct LuLinear {
    dim: usize,
    /// L below the diagonal, U above it, `ln |s|` on it.
    factors: Weight,
    sign: Weight,
    /// Row `i` of W is row `order[i]` of the product.
    order: Weight,
    below: Tensor,
    diagonal: Tensor,
}

impl LuLinear {
    /// At the factors of a random rotation: parameters `lu` (D, D), `sign` (D) and `order` (D).
    ///
    /// # Errors
    /// No dimension.
    pub fn new(parameters: &Parameters, dim: usize) -> Result<Self, FlowError> {
        check::at_least("dim", dim, 1, "a vector has entries")?;
        let start = random_rotation(dim, &mut parameters.draws("lu"));
        let LuFactors { mut lu, order, .. } = LuFactors::of(start, dim);
        let mut sign = vec![0.0; dim];
        for (i, s) in sign.iter_mut().enumerate() {
            let of = &mut lu[i * dim + i];
            *s = of.signum();
            *of = of.abs().ln();
        }
        let mask = |keep: fn(usize, usize) -> bool| -> Result<Tensor, FlowError> {
            let all = (0..dim * dim).map(|i| f64::from(u8::from(keep(i / dim, i % dim))));
            let t = Tensor::from_iter(all, &Device::Cpu)?.reshape((dim, dim))?;
            Ok(t.to_dtype(parameters.dtype())?.to_device(parameters.device())?)
        };
        Ok(Self {
            dim,
            factors: parameters.trainable("lu", (dim, dim), lu)?,
            sign: parameters.fixed("sign", dim, sign)?,
            order: parameters.fixed("order", dim, order.iter().map(|o| *o as f64).collect())?,
            below: mask(|i, j| i > j)?,
            diagonal: mask(|i, j| i == j)?,
        })
    }

    /// `ln |s|`, (D).
    fn log_scale(&self) -> Result<Tensor, FlowError> {
        Ok((self.factors.get() * &self.diagonal)?.sum(1)?)
    }

    /// W's inverse now, a constant.
    fn constant_inverse(&self) -> Result<Tensor, FlowError> {
        let host = |w: &Weight| -> Result<Vec<f64>, FlowError> {
            let t = w.get().detach().to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
            Ok(t.flatten_all()?.to_vec1()?)
        };
        let (mut lu, sign, n) = (host(&self.factors)?, host(&self.sign)?, self.dim);
        for (i, s) in sign.iter().enumerate() {
            lu[i * n + i] = s * lu[i * n + i].exp();
        }
        let order: Vec<usize> = host(&self.order)?.iter().map(|o| *o as usize).collect();
        let inverse = LuFactors::new(lu, order).inverse();
        let weight = self.factors.var();
        let t = Tensor::from_vec(inverse, (n, n), &Device::Cpu)?;
        Ok(t.to_dtype(weight.dtype())?.to_device(weight.device())?)
    }
}

impl Mixing for LuLinear {
    fn matrix(&self) -> Result<Tensor, FlowError> {
        let lu = self.factors.get();
        let lower_part = (&lu * &self.below)?;
        let lower = (&lower_part + &self.diagonal)?;
        let scale = (self.log_scale()?.exp()? * self.sign.get())?;
        // What is neither below the diagonal nor on it.
        let upper = ((&lu - &lower_part)? - (&lu * &self.diagonal)?)?;
        let upper = (upper + self.diagonal.broadcast_mul(&scale)?)?;
        let order = self.order.get().to_dtype(DType::U32)?;
        Ok(lower.matmul(&upper)?.index_select(&order, 0)?)
    }

    fn log_det(&self) -> Result<Option<Tensor>, FlowError> {
        Ok(Some(self.log_scale()?.sum_all()?))
    }

    fn learned(&self) -> bool {
        true
    }
}

impl Bijection for LuLinear {
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
        let rows = check::plain_rows(x, self.dim, condition)?;
        let log_det = check::for_all_rows(&self.log_scale()?.sum_all()?, rows)?;
        Ok((multiply(x, &self.matrix()?)?, log_det))
    }

    /// One step of Newton's from a solution by constants: it takes away most of the rounding, and
    /// gradients reach the factors as if the system had been solved by differentiable operations.
    fn inverse(
        &self,
        z: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        let rows = check::plain_rows(z, self.dim, condition)?;
        let inverse = self.constant_inverse()?;
        let first = multiply(&z.detach(), &inverse)?;
        let residual = (z - multiply(&first, &self.matrix()?)?)?;
        let x = (first + multiply(&residual, &inverse)?)?;
        let log_det = check::for_all_rows(&self.log_scale()?.sum_all()?.neg()?, rows)?;
        Ok((x, log_det))
    }
}
