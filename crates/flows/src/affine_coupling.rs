//! An affine coupling.

use crate::{Bijection, FlowError, Subnet, check};
use candle_core::{D, Tensor};
use hgad_kernels::{affine_coupling, coupling_log_det};

/// On x (N, D), H = D / 2 rounded down: `x1`, the first D - H entries, stay; the last H become
/// `x2 exp(s) + t`, with `[a_s, a_t]` the subnet's output, `s = clamp tanh(0.1 a_s)` and
/// `t = 0.1 a_t` (Dinh et al., ICLR 2017, eq. 7 and 8, with FrEIA's bound and damping). The
/// log-determinant is `sum s`.
pub struct AffineCoupling<S> {
    dim: usize,
    clamp: f64,
    subnet: S,
}

impl<S: Subnet> AffineCoupling<S> {
    /// Over vectors of `dim` entries; `subnet` reads the first D - H and gives 2H.
    ///
    /// # Errors
    /// `dim` below 2, a clamp that is not positive.
    pub fn new(dim: usize, clamp: f64, subnet: S) -> Result<Self, FlowError> {
        check::split(dim)?;
        check::positive("clamp", clamp)?;
        Ok(Self { dim, clamp, subnet })
    }
}

impl<S: Subnet> Bijection for AffineCoupling<S> {
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
        check::rows(x, self.dim)?;
        let a = self.subnet.forward(x, condition)?;
        // The fused operation has a global affine map besides, here the identity.
        let gain = Tensor::ones((1, self.dim), x.dtype(), x.device())?;
        let identity = Tensor::cat(&[&gain, &gain.zeros_like()?], 0)?;
        let z = affine_coupling(x, &a, &identity, self.clamp)?;
        Ok((z, coupling_log_det(&a, self.clamp)?))
    }

    fn inverse(
        &self,
        z: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        check::rows(z, self.dim)?;
        let a = self.subnet.forward(z, condition)?;
        let (x, sum) = uncouple(z, &a, self.clamp)?;
        Ok((x, sum.neg()?))
    }
}

/// Undoes the coupling of `y` (N, D) by the subnet's output `a` (N, 2H); gives `sum s` too.
pub(crate) fn uncouple(y: &Tensor, a: &Tensor, clamp: f64) -> Result<(Tensor, Tensor), FlowError> {
    let half = a.dim(1)? / 2;
    let first = y.dim(1)? - half;
    let x1 = y.narrow(1, 0, first)?;
    let a = (a * 0.1)?;
    let s = (a.narrow(1, 0, half)?.tanh()? * clamp)?;
    let x2 = ((y.narrow(1, first, half)? - a.narrow(1, half, half)?)? * s.neg()?.exp()?)?;
    Ok((Tensor::cat(&[&x1, &x2], 1)?, s.sum(D::Minus1)?))
}
