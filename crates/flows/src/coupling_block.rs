//! HGAD's flow block: conditional affine coupling, global affine map, fixed rotation.

use crate::rotation::random_rotation;
use crate::{Bijection, FlowError};
use candle_core::{D, Tensor};
use hgad_kernels::{Rectifier, affine_coupling, coupling_log_det, linear, rotate};
use hgad_parameters::{Parameters, Weight};

/// Settings of a block.
#[derive(Clone, Debug, PartialEq)]
pub struct CouplingConfig {
    /// Channels K of the condition, 0 for none.
    pub condition: usize,
    /// Bound of the log-scale: `s = clamp * tanh(0.1 a)`.
    pub clamp: f64,
    /// Width of the subnet's hidden layer, in multiples of its input.
    pub hidden_factor: usize,
}

impl Default for CouplingConfig {
    /// The paper's: a condition of 256 channels, clamp 1.9, twice as wide.
    fn default() -> Self {
        Self { condition: 256, clamp: 1.9, hidden_factor: 2 }
    }
}

/// One block on x (N, D), H = D / 2 rounded down:
/// 1. `x1`, `x2` are the first D - H and the last H entries,
/// 2. `a = W2 relu(W1 [x1, c] + b1) + b2`,
/// 3. `x2 <- x2 exp(s) + t`, `s = clamp tanh(0.1 a_s)`, `t = 0.1 a_t`,
/// 4. `x <- x g + o`, `g = 0.1 softplus_0.5(raw)`,
/// 5. `x <- x R^T`, R a fixed rotation.
///
/// The log-determinant is `sum s + sum ln g`. FrEIA's AllInOneBlock 0.2 (Ardizzone et al.) as the
/// authors of HGAD configure it; parameters carry its names.
pub struct CouplingBlock {
    dim: usize,
    config: CouplingConfig,
    pub(crate) w1: Weight,
    pub(crate) b1: Weight,
    pub(crate) w2: Weight,
    pub(crate) b2: Weight,
    pub(crate) scale: Weight,
    pub(crate) offset: Weight,
    pub(crate) rotation: Weight,
}

impl CouplingBlock {
    /// A block with PyTorch's start for linear layers (U(-1/sqrt(fan_in), 1/sqrt(fan_in)), biases
    /// too), g = 1 and o = 0.
    ///
    /// # Errors
    /// `dim` below 2, no hidden layer, a clamp that is not positive.
    pub fn new(
        parameters: &Parameters,
        dim: usize,
        config: &CouplingConfig,
    ) -> Result<Self, FlowError> {
        let refuse = |key, value: String, why| Err(FlowError::Setting { key, value, why });
        if dim < 2 {
            return refuse("dim", dim.to_string(), "a coupling splits its input in two parts");
        }
        if config.hidden_factor == 0 {
            return refuse("hidden_factor", "0".into(), "the subnet needs a hidden layer");
        }
        if config.clamp <= 0.0 || !config.clamp.is_finite() {
            return refuse("clamp", config.clamp.to_string(), "expected a positive number");
        }
        let half = dim / 2;
        let input = dim - half + config.condition;
        let hidden = config.hidden_factor * input;
        let bound = |fan_in: usize| 1.0 / (fan_in as f64).sqrt();
        let raw = 2.0 * (5f64.exp() - 1.0).ln();
        let rotation = random_rotation(dim, &mut parameters.draws("w_perm"));
        let transposed =
            (0..dim * dim).map(|i| rotation[i % dim * dim + i / dim]).collect::<Vec<_>>();
        let block = Self {
            dim,
            config: config.clone(),
            scale: parameters.trainable("global_scale", (1, dim), vec![raw; dim])?,
            offset: parameters.trainable("global_offset", (1, dim), vec![0.0; dim])?,
            rotation: parameters.fixed("w_perm", (dim, dim), rotation)?,
            w1: parameters.uniform("subnet.0.weight", (hidden, input), bound(input))?,
            b1: parameters.uniform("subnet.0.bias", hidden, bound(input))?,
            w2: parameters.uniform("subnet.2.weight", (2 * half, hidden), bound(hidden))?,
            b2: parameters.uniform("subnet.2.bias", 2 * half, bound(hidden))?,
        };
        // FrEIA's files hold the inverse as well; inverse() needs only the transpose.
        parameters.fixed("w_perm_inv", (dim, dim), transposed)?;
        Ok(block)
    }

    /// The subnet's output (N, 2H) from vectors whose first D - H entries are x1.
    ///
    /// The condition depends on the position alone, and so does its product with W1: it is made
    /// once a position and goes in as a bias, whose gradient sums over the images first.
    fn subnet(&self, x: &Tensor, condition: Option<&Tensor>) -> Result<Tensor, FlowError> {
        let (n, k) = (x.dim(0)?, self.config.condition);
        let first = self.dim - self.dim / 2;
        let (w1, b1) = (self.w1.get(), self.b1.get().unsqueeze(0)?);
        let refuse = |found: String| {
            let expected =
                if k == 0 { "none".into() } else { format!("(P, {k}), P a divisor of N") };
            Err(FlowError::Condition { expected, found, rows: n })
        };
        let (w1, b1) = match condition {
            None if k == 0 => (w1, b1),
            Some(c) if k > 0 => {
                if c.rank() != 2 || c.dim(1)? != k || c.dim(0)? == 0 || n % c.dim(0)? != 0 {
                    return refuse(format!("{:?}", c.dims()));
                }
                let of_condition = w1.narrow(1, first, k)?.t()?;
                let bias = c.matmul(&of_condition)?.broadcast_add(&b1)?;
                (w1.narrow(1, 0, first)?.contiguous()?, bias)
            }
            None => return refuse("none".into()),
            Some(c) => return refuse(format!("{:?}", c.dims())),
        };
        let hidden = linear(x, &w1, &b1, Rectifier::Relu)?;
        Ok(linear(&hidden, &self.w2.get(), &self.b2.get().unsqueeze(0)?, Rectifier::None)?)
    }

    /// The gain g (1, D), always positive.
    fn gain(&self) -> Result<Tensor, FlowError> {
        // softplus with beta 0.5, written so that no exponential overflows.
        let half = (self.scale.get() * 0.5)?;
        let log = (half.abs()?.neg()?.exp()? + 1.0)?.log()?;
        Ok(((half.relu()? + log)? * 0.2)?)
    }

    fn check(&self, x: &Tensor) -> Result<usize, FlowError> {
        match x.dims() {
            [n, d] if *d == self.dim => Ok(*n),
            found => Err(FlowError::Input { expected: self.dim, found: found.to_vec() }),
        }
    }
}

impl Bijection for CouplingBlock {
    fn dim(&self) -> usize {
        self.dim
    }

    fn condition_dim(&self) -> usize {
        self.config.condition
    }

    fn forward(
        &self,
        x: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        self.check(x)?;
        let a = self.subnet(x, condition)?;
        let gain = self.gain()?;
        let affine = Tensor::cat(&[&gain, &self.offset.get()], 0)?;
        let y = affine_coupling(x, &a, &affine, self.config.clamp)?;
        let log_det = coupling_log_det(&a, self.config.clamp)?;
        let log_det = log_det.broadcast_add(&gain.log()?.sum_all()?)?;
        Ok((rotate(&y, &self.rotation.get())?, log_det))
    }

    fn inverse(
        &self,
        z: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        self.check(z)?;
        let (first, half) = (self.dim - self.dim / 2, self.dim / 2);
        let gain = self.gain()?;
        let y = rotate(z, &self.rotation.get().t()?.contiguous()?)?;
        let y = y.broadcast_sub(&self.offset.get())?.broadcast_div(&gain)?;
        let x1 = y.narrow(1, 0, first)?;
        let a = (self.subnet(&y, condition)? * 0.1)?;
        let s = (a.narrow(1, 0, half)?.tanh()? * self.config.clamp)?;
        let x2 = ((y.narrow(1, first, half)? - a.narrow(1, half, half)?)? * s.neg()?.exp()?)?;
        let log_det = s.sum(D::Minus1)?.broadcast_add(&gain.log()?.sum_all()?)?.neg()?;
        Ok((Tensor::cat(&[&x1, &x2], 1)?, log_det))
    }
}
