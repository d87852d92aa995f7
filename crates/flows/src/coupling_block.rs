//! HGAD's flow block: conditional affine coupling, global affine map, permutation.

use crate::actnorm::moments;
use crate::affine_coupling::uncouple;
use crate::{
    ActNormStart, Bijection, DenseSubnet, FlowError, LastLayer, Mixing, Permutation, Subnet,
    SubnetSize, check,
};
use candle_core::Tensor;
use hgad_kernels::{affine_coupling, coupling_log_det};
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
    /// What mixes the entries at the end.
    pub permutation: Permutation,
    /// Learned reflections of [`Permutation::Householder`].
    pub reflections: usize,
    /// Where the global affine map starts.
    pub affine: ActNormStart,
}

impl Default for CouplingConfig {
    /// The paper's: a condition of 256 channels, clamp 1.9, twice as wide, a fixed rotation, an affine map
    /// that starts as the identity.
    fn default() -> Self {
        Self {
            condition: 256,
            clamp: 1.9,
            hidden_factor: 2,
            permutation: Permutation::Soft,
            reflections: 8,
            affine: ActNormStart::Identity,
        }
    }
}

/// One block on x (N, D), H = D / 2 rounded down:
/// 1. `x1`, `x2` are the first D - H and the last H entries,
/// 2. `a = W2 relu(W1 [x1, c] + b1) + b2`, or what another subnet makes of them,
/// 3. `x2 <- x2 exp(s) + t`, `s = clamp tanh(0.1 a_s)`, `t = 0.1 a_t`,
/// 4. `x <- x g + o`, `g = 0.1 softplus_0.5(raw)`,
/// 5. `x <- x R^T`, R a fixed rotation, or another [`Permutation`].
///
/// The log-determinant is `sum s + sum ln g`, and `ln |det R|` where it is not 0. FrEIA's
/// AllInOneBlock 0.2 (Ardizzone et al.) as the authors of HGAD configure it; parameters carry its
/// names.
pub struct CouplingBlock<S = DenseSubnet> {
    dim: usize,
    config: CouplingConfig,
    pub(crate) subnet: S,
    pub(crate) scale: Weight,
    pub(crate) offset: Weight,
    pub(crate) mixing: Box<dyn Mixing>,
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
        Self::with_subnet(parameters, dim, config, |p, size| {
            DenseSubnet::new(p, size, LastLayer::Drawn)
        })
    }
}

impl<S: Subnet> CouplingBlock<S> {
    /// As [`CouplingBlock::new`], with the subnet of that size which `make` gives.
    ///
    /// # Errors
    /// `dim` below 2, a clamp that is not positive; what `make` gives.
    pub fn with_subnet(
        parameters: &Parameters,
        dim: usize,
        config: &CouplingConfig,
        make: impl FnOnce(&Parameters, &SubnetSize) -> Result<S, FlowError>,
    ) -> Result<Self, FlowError> {
        let (input, half) = check::split(dim)?;
        check::positive("clamp", config.clamp)?;
        let (condition, hidden_factor) = (config.condition, config.hidden_factor);
        let size = SubnetSize { input, condition, hidden_factor, output: 2 * half };
        let raw = 2.0 * (5f64.exp() - 1.0).ln();
        let block = Self {
            dim,
            config: config.clone(),
            scale: parameters.trainable("global_scale", (1, dim), vec![raw; dim])?,
            offset: parameters.trainable("global_offset", (1, dim), vec![0.0; dim])?,
            mixing: config.permutation.build(parameters, dim, config.reflections)?,
            subnet: make(&parameters.scope("subnet"), &size)?,
        };
        if !block.mixing.learned() {
            // FrEIA's files hold the inverse as well; inverse() needs only the transpose.
            let transposed = block.mixing.matrix()?.t()?.flatten_all()?;
            let transposed = transposed.to_dtype(candle_core::DType::F64)?.to_vec1()?;
            parameters.fixed("w_perm_inv", (dim, dim), transposed)?;
        }
        Ok(block)
    }

    /// The gain g (1, D), always positive.
    fn gain(&self) -> Result<Tensor, FlowError> {
        // softplus with beta 0.5, written so that no exponential overflows.
        let half = (self.scale.get() * 0.5)?;
        let log = (half.abs()?.neg()?.exp()? + 1.0)?.log()?;
        Ok(((half.relu()? + log)? * 0.2)?)
    }
}

impl<S: Subnet> Bijection for CouplingBlock<S> {
    fn dim(&self) -> usize {
        self.dim
    }

    fn condition_dim(&self) -> usize {
        self.config.condition
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
        let gain = self.gain()?;
        let affine = Tensor::cat(&[&gain, &self.offset.get()], 0)?;
        let y = affine_coupling(x, &a, &affine, self.config.clamp)?;
        let log_det = coupling_log_det(&a, self.config.clamp)?;
        let log_det = log_det.broadcast_add(&gain.log()?.sum_all()?)?;
        let (z, of_mixing) = self.mixing.forward(&y, None)?;
        Ok((z, (log_det + of_mixing)?))
    }

    fn inverse(
        &self,
        z: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        check::rows(z, self.dim)?;
        let gain = self.gain()?;
        let (y, of_mixing) = self.mixing.inverse(z, None)?;
        let y = y.broadcast_sub(&self.offset.get())?.broadcast_div(&gain)?;
        let a = self.subnet.forward(&y, condition)?;
        let (x, sum) = uncouple(&y, &a, self.config.clamp)?;
        let log_det = sum.broadcast_add(&gain.log()?.sum_all()?)?.neg()?;
        Ok((x, (log_det + of_mixing)?))
    }

    fn starts_from_data(&self) -> bool {
        self.config.affine == ActNormStart::Data
    }

    /// Sets g and o so that what is permuted has mean 0 and variance 1 over the batch, as Glow's actnorm
    /// (Kingma and Dhariwal, NeurIPS 2018, section 3.1).
    fn initialize(&self, x: &Tensor, condition: Option<&Tensor>) -> Result<(), FlowError> {
        check::rows(x, self.dim)?;
        if !self.starts_from_data() || x.dim(0)? < 2 {
            return Ok(());
        }
        let offset = self.offset.get();
        let none = Tensor::cat(&[&offset.ones_like()?, &offset.zeros_like()?], 0)?;
        let a = self.subnet.forward(x, condition)?;
        let (mean, deviation) = moments(&affine_coupling(x, &a, &none, self.config.clamp)?)?;
        // The inverse of `gain`: raw = 2 ln(e^(5 g) - 1), written so that no exponential overflows; in 32 bits
        // a gain below this would be 0.
        let five = deviation.recip()?.affine(5.0, 0.0)?.maximum(1e-6)?;
        let raw = ((five.neg()?.exp()?.neg()? + 1.0)?.log()? + &five)?;
        self.scale.var().set(&(raw * 2.0)?.reshape((1, self.dim))?)?;
        self.offset.var().set(&(mean * &five)?.affine(-0.2, 0.0)?.reshape((1, self.dim))?)?;
        Ok(())
    }
}
