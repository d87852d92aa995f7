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
    /// What raw widths and heights are divided by: the root of the hidden layer's width, so that
    /// the softmax starts soft (as in the authors' code).
    damping: f64,
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
        Ok(Self { dim, spline, subnet, damping: (size.hidden() as f64).sqrt() })
    }

    /// The raw numbers of every spline, (N * H, 3K - 1).
    fn raw(&self, x: &Tensor, condition: Option<&Tensor>) -> Result<Tensor, FlowError> {
        let rows = check::rows(x, self.dim)? * (self.dim / 2);
        let lengths = 2 * self.spline.bins();
        let slopes = self.spline.parameters() - lengths;
        let raw = self.subnet.forward(x, condition)?.reshape((rows, lengths + slopes))?;
        let damped = (raw.narrow(1, 0, lengths)? / self.damping)?;
        Ok(Tensor::cat(&[&damped, &raw.narrow(1, lengths, slopes)?], 1)?)
    }

    fn run(
        &self,
        x: &Tensor,
        condition: Option<&Tensor>,
        through: impl FnOnce(&Tensor, &Tensor) -> Result<(Tensor, Tensor), FlowError>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        let raw = self.raw(x, condition)?;
        let (n, (first, half)) = (x.dim(0)?, check::split(self.dim)?);
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
