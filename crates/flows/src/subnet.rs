//! The network inside a coupling.

use crate::{FlowError, check};
use candle_core::Tensor;
use hgad_kernels::{Rectifier, linear};
use hgad_parameters::{Parameters, Weight};

/// What a coupling does to one part of a vector, as a function of the other part.
pub trait Subnet: Send + Sync {
    /// Channels K of the condition, 0 for none.
    fn condition_dim(&self) -> usize;

    /// Whether it looks at neighbours, as [`crate::Bijection::whole_maps`].
    fn whole_maps(&self) -> bool {
        false
    }

    /// `x` (N, D), of which it reads the first entries alone, to its output (N, O). `condition`
    /// (P, K), P a divisor of N.
    ///
    /// # Errors
    /// Shapes that do not fit.
    fn forward(&self, x: &Tensor, condition: Option<&Tensor>) -> Result<Tensor, FlowError>;
}

/// Lengths of a subnet's layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubnetSize {
    /// Entries it reads.
    pub input: usize,
    /// Channels K of the condition, 0 for none.
    pub condition: usize,
    /// Width of the hidden layer in multiples of input and condition.
    pub hidden_factor: usize,
    /// Entries O it gives.
    pub output: usize,
}

impl SubnetSize {
    /// Width of the hidden layer.
    pub fn hidden(&self) -> usize {
        self.hidden_factor * (self.input + self.condition)
    }
}

/// How a subnet's last layer starts.
#[derive(Clone, Debug, PartialEq)]
pub enum LastLayer {
    /// As PyTorch's linear layers do.
    Drawn,
    /// With weights 0 and these biases: the subnet's output is the same everywhere.
    Constant(Vec<f64>),
}

/// `W2 relu(W1 [x1, c] + b1) + b2`, of each vector by itself.
pub struct DenseSubnet {
    size: SubnetSize,
    pub(crate) w1: Weight,
    pub(crate) b1: Weight,
    pub(crate) w2: Weight,
    pub(crate) b2: Weight,
}

impl DenseSubnet {
    /// With PyTorch's start for linear layers, U(-1/sqrt(fan_in), 1/sqrt(fan_in)), biases too.
    /// Parameters are `0.weight`, `0.bias`, `2.weight` and `2.bias`.
    ///
    /// # Errors
    /// No hidden layer; biases of another number than the output's.
    pub fn new(
        parameters: &Parameters,
        size: &SubnetSize,
        last: LastLayer,
    ) -> Result<Self, FlowError> {
        check::at_least("hidden_factor", size.hidden_factor, 1, "the subnet needs a hidden layer")?;
        let bound = |fan_in: usize| 1.0 / (fan_in as f64).sqrt();
        let (input, hidden, output) = (size.input + size.condition, size.hidden(), size.output);
        let w1 = parameters.uniform("0.weight", (hidden, input), bound(input))?;
        let b1 = parameters.uniform("0.bias", hidden, bound(input))?;
        let (w2, b2) = match last {
            LastLayer::Drawn => (
                parameters.uniform("2.weight", (output, hidden), bound(hidden))?,
                parameters.uniform("2.bias", output, bound(hidden))?,
            ),
            LastLayer::Constant(biases) => (
                parameters.trainable("2.weight", (output, hidden), vec![0.0; output * hidden])?,
                parameters.trainable("2.bias", output, biases)?,
            ),
        };
        Ok(Self { size: *size, w1, b1, w2, b2 })
    }
}

impl Subnet for DenseSubnet {
    fn condition_dim(&self) -> usize {
        self.size.condition
    }

    /// The condition depends on the position alone, and so does its product with W1: it is made
    /// once a position and goes in as a bias, whose gradient sums over the images first.
    fn forward(&self, x: &Tensor, condition: Option<&Tensor>) -> Result<Tensor, FlowError> {
        let (first, k) = (self.size.input, self.size.condition);
        let (w1, b1) = (self.w1.get(), self.b1.get().unsqueeze(0)?);
        let (w1, b1) = match check::condition(condition, k, x.dim(0)?)? {
            None => (w1, b1),
            Some(c) => {
                // Devices multiply no views into wider rows.
                let of_condition = w1.narrow(1, first, k)?.contiguous()?.t()?;
                let bias = c.matmul(&of_condition)?.broadcast_add(&b1)?;
                (w1.narrow(1, 0, first)?.contiguous()?, bias)
            }
        };
        let hidden = linear(x, &w1, &b1, Rectifier::Relu)?;
        Ok(linear(&hidden, &self.w2.get(), &self.b2.get().unsqueeze(0)?, Rectifier::None)?)
    }
}
