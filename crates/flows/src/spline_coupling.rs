//! A coupling by monotone splines.

use crate::{Bijection, DenseSubnet, FlowError, LastLayer, Spline, Subnet, SubnetSize, check};
use candle_core::Tensor;
use hgad_parameters::Parameters;

/// On x (N, D), H = D / 2 rounded down: the first D - H entries stay, and each of the last H goes
/// through a spline whose shape the subnet gives (Durkan et al., NeurIPS 2019). The
/// log-determinant is the sum of the logarithms of their slopes.
pub struct SplineCoupling {
    dim: usize,
    spline: Spline,
    subnet: DenseSubnet,
}

impl SplineCoupling {
    /// The identity at its start. Parameters are those of [`DenseSubnet`].
    ///
    /// # Errors
    /// `dim` below 2, no hidden layer.
    pub fn new(
        parameters: &Parameters,
        dim: usize,
        condition: usize,
        hidden_factor: usize,
        spline: Spline,
    ) -> Result<Self, FlowError> {
        let (first, half) = check::split(dim)?;
        let output = half * spline.parameters();
        let size = SubnetSize { input: first, condition, hidden_factor, output };
        let of_one = |i: usize| match i % spline.parameters() >= 2 * spline.bins() {
            true => Spline::identity_slope(),
            false => 0.0,
        };
        let last = LastLayer::Constant((0..output).map(of_one).collect());
        let subnet = DenseSubnet::new(parameters, &size, last)?;
        // So that the softmax stays soft however wide the layer is, as in the authors' code.
        let spline = spline.damped((size.hidden() as f64).sqrt());
        Ok(Self { dim, spline, subnet })
    }

    fn run(
        &self,
        x: &Tensor,
        condition: Option<&Tensor>,
        through: impl FnOnce(&Tensor, &Tensor) -> Result<(Tensor, Tensor), FlowError>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        let (n, (first, half)) = (check::rows(x, self.dim)?, check::split(self.dim)?);
        let raw = self.subnet.forward(x, condition)?;
        let raw = raw.reshape((n * half, self.spline.parameters()))?;
        let x2 = x.narrow(1, first, half)?.reshape(n * half)?;
        let (y2, log_slope) = through(&x2, &raw)?;
        let y2 = y2.reshape((n, half))?;
        let y = Tensor::cat(&[&x.narrow(1, 0, first)?, &y2], 1)?;
        Ok((y, log_slope.reshape((n, half))?.sum(1)?))
    }
}

impl Bijection for SplineCoupling {
    fn dim(&self) -> usize {
        self.dim
    }

    fn condition_dim(&self) -> usize {
        self.subnet.condition_dim()
    }

    fn forward(
        &self,
        x: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        self.run(x, condition, |x, raw| self.spline.forward(x, raw))
    }

    fn inverse(
        &self,
        z: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        self.run(z, condition, |z, raw| self.spline.inverse(z, raw))
    }
}
