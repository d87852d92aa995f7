//! Covariances of Gaussians: the identity, or a learned diagonal.

use crate::PriorError;
use candle_core::{D, Device, Result, Tensor};
use hgad_kernels::{affine_log_sum_exp, gaussian_logits, mixture_log_density};
use hgad_parameters::{Parameters, Weight};

/// How the Gaussians of a prior spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// Unit covariance: the paper's.
    #[default]
    Identity,
    /// A learned variance for each dimension of each Gaussian.
    Diagonal,
    /// That, on latents that were whitened by their class's own covariance, taken from data at the start.
    Whitened,
}

/// The names of [`Spread`].
pub const COVARIANCES: [&str; 3] = ["identity", "diagonal", "whitened"];

impl Spread {
    /// The spread of that name.
    ///
    /// # Errors
    /// An unknown name.
    pub fn named(name: &str) -> std::result::Result<Self, PriorError> {
        match name {
            "identity" => Ok(Self::Identity),
            "diagonal" => Ok(Self::Diagonal),
            "whitened" => Ok(Self::Whitened),
            _ => Err(PriorError::Setting {
                key: "covariance",
                value: name.into(),
                why: "expected identity, diagonal or whitened",
            }),
        }
    }
}

/// The covariances of some Gaussians: `None` for unit ones, else the logarithms of the standard
/// deviations, shaped as their centres.
#[derive(Clone)]
pub struct Covariance(Option<Weight>);

impl Covariance {
    /// Of Gaussians whose centres have `shape`; learned ones are the parameter `name`, started at
    /// 0, which is the identity.
    ///
    /// # Errors
    /// The name is taken.
    pub fn new(
        parameters: &Parameters,
        name: &str,
        shape: impl Into<candle_core::Shape>,
        spread: Spread,
    ) -> std::result::Result<Self, PriorError> {
        let shape = shape.into();
        let start = vec![0.0; shape.elem_count()];
        Ok(Self(match spread {
            Spread::Identity => None,
            Spread::Diagonal | Spread::Whitened => Some(parameters.trainable(name, shape, start)?),
        }))
    }

    /// Logarithms of the standard deviations, where they are learned.
    pub(crate) fn log_std(&self) -> Option<Tensor> {
        self.0.as_ref().map(Weight::get)
    }

    /// Sets the standard deviations, row-major as the centres; unit ones stay as they are.
    ///
    /// # Errors
    /// Another number of them.
    pub(crate) fn start(&self, deviations: &[f64]) -> std::result::Result<(), PriorError> {
        if let Some(log_std) = &self.0 {
            let logs = deviations.iter().map(|d| d.ln()).collect();
            log_std.set(&Tensor::from_vec(logs, log_std.get().shape(), &Device::Cpu)?)?;
        }
        Ok(())
    }

    /// `-½ |(z - c_k) / σ_k|² - sum ln σ_k`, (B, P, K): `z` (B, P, D), `centers` (K, D).
    ///
    /// # Errors
    /// From candle.
    pub fn logits(&self, z: &Tensor, centers: &Tensor) -> Result<Tensor> {
        match &self.0 {
            None => gaussian_logits(z, centers),
            Some(log_std) => diagonal_logits(z, centers, &log_std.get()),
        }
    }

    /// `logsumexp_k` of the logits and `log_weights` (B, K) of a mixture an image, (B, P): `z`
    /// (B, P, D), `centers` (B, K, D). `classes` (B) picks each image's deviations, which are
    /// shaped (C, K, D), or (C, D) where K is 1.
    ///
    /// # Errors
    /// From candle.
    pub fn mixture(
        &self,
        z: &Tensor,
        centers: &Tensor,
        log_weights: &Tensor,
        classes: &Tensor,
    ) -> Result<Tensor> {
        let Some(log_std) = &self.0 else {
            return mixture_log_density(z, centers, log_weights);
        };
        let log_std = log_std.get().index_select(classes, 0)?.reshape(centers.shape())?;
        // `-½ |(z - c) / σ|² = [z, z²] [c / σ², -½ / σ²] - ½ |c / σ|²`.
        let (precision, weighted, constant) = expanded(centers, &log_std)?;
        let x = Tensor::cat(&[z, &z.sqr()?], D::Minus1)?;
        let w = Tensor::cat(&[&weighted, &(precision * -0.5)?], D::Minus1)?;
        affine_log_sum_exp(&x, &w, &(log_weights - constant)?)
    }
}

/// `1 / σ²` and `c / σ²`, shaped as the centres, and `½ |c / σ|² + sum ln σ`, one a centre.
fn expanded(centers: &Tensor, log_std: &Tensor) -> Result<(Tensor, Tensor, Tensor)> {
    let precision = (log_std * -2.0)?.exp()?;
    let weighted = (centers * &precision)?;
    let constant = ((&weighted * centers)?.sum(D::Minus1)? * 0.5)?.add(&log_std.sum(D::Minus1)?)?;
    Ok((precision, weighted, constant))
}

/// The squares are expanded, so that matrix products make them and nothing of size P x K x D is
/// ever made: `z` (B, P, D), `centers` and `log_std` (K, D).
fn diagonal_logits(z: &Tensor, centers: &Tensor, log_std: &Tensor) -> Result<Tensor> {
    let (precision, weighted, constant) = expanded(centers, log_std)?;
    // One product for all images, which have the same centres.
    let (b, p, d) = z.dims3()?;
    let rows = z.reshape((b * p, d))?;
    let squares = rows.sqr()?.matmul(&precision.t()?)?;
    let logits = (rows.matmul(&weighted.t()?)? - (squares * 0.5)?)?.broadcast_sub(&constant)?;
    logits.reshape((b, p, constant.elem_count()))
}
