//! Glow's normalization: a gain and an offset an entry.

use crate::{Bijection, FlowError, check};
use candle_core::Tensor;
use hgad_parameters::{Parameters, Weight};

/// Where an [`ActNorm`], or the global affine map of a coupling block, starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActNormStart {
    /// So that a first batch comes out with mean 0 and variance 1.
    Data,
    /// As the identity.
    Identity,
}

/// Names of the starts, in the order of [`ActNormStart`].
pub const ACTNORM_STARTS: [&str; 2] = ["data", "identity"];

impl ActNormStart {
    /// The start of that name, which the setting `key` gives.
    ///
    /// # Errors
    /// There is none.
    pub fn named(key: &'static str, name: &str) -> Result<Self, FlowError> {
        match name {
            "data" => Ok(Self::Data),
            "identity" => Ok(Self::Identity),
            _ => Err(FlowError::Setting {
                key,
                value: name.into(),
                why: "expected data or identity",
            }),
        }
    }
}

/// `z = x exp(s) + b`, `s` and `b` (D) trained (Kingma and Dhariwal, NeurIPS 2018, section 3.1).
/// The log-determinant is `sum s`.
pub struct ActNorm {
    dim: usize,
    start: ActNormStart,
    log_scale: Weight,
    shift: Weight,
}

/// Mean and standard deviation (D) of the entries of a batch (N, D), the deviations bounded from below.
pub(crate) fn moments(x: &Tensor) -> Result<(Tensor, Tensor), FlowError> {
    let x = x.detach();
    let mean = x.mean(0)?;
    let deviation = x.broadcast_sub(&mean)?.sqr()?.mean(0)?.sqrt()?;
    let least = (deviation.mean_all()? * LEAST_DEVIATION)?;
    // All entries the same: nothing to normalize by.
    let least = least.broadcast_maximum(&(least.ones_like()? * 1e-6)?)?;
    Ok((mean, deviation.broadcast_maximum(&least)?))
}

/// Least deviation of an entry, in mean deviations: one that hardly moves in the first batch must
/// not be magnified without bound.
const LEAST_DEVIATION: f64 = 0.01;

impl ActNorm {
    /// The identity until [`Bijection::initialize`]; parameters are `log_scale` and `shift`.
    ///
    /// # Errors
    /// No dimension.
    pub fn new(
        parameters: &Parameters,
        dim: usize,
        start: ActNormStart,
    ) -> Result<Self, FlowError> {
        check::at_least("dim", dim, 1, "a vector has entries")?;
        Ok(Self {
            dim,
            start,
            log_scale: parameters.trainable("log_scale", dim, vec![0.0; dim])?,
            shift: parameters.trainable("shift", dim, vec![0.0; dim])?,
        })
    }
}

impl Bijection for ActNorm {
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
        let z = x.broadcast_mul(&s.exp()?)?.broadcast_add(&self.shift.get())?;
        Ok((z, check::for_all_rows(&s.sum_all()?, rows)?))
    }

    fn inverse(
        &self,
        z: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        let rows = check::plain_rows(z, self.dim, condition)?;
        let s = self.log_scale.get().neg()?;
        let x = z.broadcast_sub(&self.shift.get())?.broadcast_mul(&s.exp()?)?;
        Ok((x, check::for_all_rows(&s.sum_all()?, rows)?))
    }

    fn starts_from_data(&self) -> bool {
        self.start == ActNormStart::Data
    }

    fn initialize(&self, x: &Tensor, condition: Option<&Tensor>) -> Result<(), FlowError> {
        let rows = check::plain_rows(x, self.dim, condition)?;
        if !self.starts_from_data() || rows < 2 {
            return Ok(());
        }
        let (mean, deviation) = moments(x)?;
        self.log_scale.var().set(&deviation.log()?.neg()?)?;
        self.shift.var().set(&(mean / deviation)?.neg()?)?;
        Ok(())
    }
}
