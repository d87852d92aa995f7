//! An additive coupling.

use crate::{Bijection, FlowError, Subnet, check};
use candle_core::Tensor;

/// On x (N, D), H = D / 2 rounded down: the first D - H entries stay, the last H get the subnet's
/// output added (Dinh et al., 2014, section 3.2). Volumes stay as they are.
pub struct AdditiveCoupling<S> {
    dim: usize,
    subnet: S,
}

impl<S: Subnet> AdditiveCoupling<S> {
    /// Over vectors of `dim` entries; `subnet` reads the first D - H and gives H.
    ///
    /// # Errors
    /// `dim` below 2.
    pub fn new(dim: usize, subnet: S) -> Result<Self, FlowError> {
        check::split(dim)?;
        Ok(Self { dim, subnet })
    }

    /// `x` with the last entries plus `sign` times the subnet's output.
    fn add(&self, x: &Tensor, condition: Option<&Tensor>, sign: f64) -> Result<Tensor, FlowError> {
        check::rows(x, self.dim)?;
        let (first, half) = check::split(self.dim)?;
        let shift = (self.subnet.forward(x, condition)? * sign)?;
        let x2 = (x.narrow(1, first, half)? + shift)?;
        Ok(Tensor::cat(&[&x.narrow(1, 0, first)?, &x2], 1)?)
    }
}

impl<S: Subnet> Bijection for AdditiveCoupling<S> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn condition_dim(&self) -> usize {
        self.subnet.condition_dim()
    }

    fn whole_maps(&self) -> bool {
        self.subnet.whole_maps()
    }

    fn forward(
        &self,
        x: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        Ok((self.add(x, condition, 1.0)?, check::no_change(x)?))
    }

    fn inverse(
        &self,
        z: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        Ok((self.add(z, condition, -1.0)?, check::no_change(z)?))
    }
}
