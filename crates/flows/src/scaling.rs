//! A gain an entry.

use crate::{Bijection, FlowError, check};
use candle_core::Tensor;
use hgad_parameters::{Parameters, Weight};

/// `z = x exp(s)`, `s` (D) trained: NICE's last layer (Dinh et al., 2014, section 3.3). The
/// log-determinant is `sum s`.
pub struct Scaling {
    dim: usize,
    log_scale: Weight,
}

impl Scaling {
    /// The identity at its start; the parameter is `log_scale`.
    ///
    /// # Errors
    /// No dimension.
    pub fn new(parameters: &Parameters, dim: usize) -> Result<Self, FlowError> {
        check::at_least("dim", dim, 1, "a vector has entries")?;
        Ok(Self { dim, log_scale: parameters.trainable("log_scale", dim, vec![0.0; dim])? })
    }
}

impl Bijection for Scaling {
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
        let s = self.log_scale.get();
        Ok((x.broadcast_mul(&s.exp()?)?, check::for_all_rows(&s.sum_all()?, rows)?))
    }

    fn inverse(
        &self,
        z: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        let rows = check::plain_rows(z, self.dim, condition)?;
        let s = self.log_scale.get().neg()?;
        Ok((z.broadcast_mul(&s.exp()?)?, check::for_all_rows(&s.sum_all()?, rows)?))
    }
}
