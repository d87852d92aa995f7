//! One Gaussian a class: the inter-class mixture.

use crate::prior::{check, log_softmax};
use crate::{Prior, PriorError};
use candle_core::Tensor;
use hgad_kernels::{gaussian_logits, log_sum_exp, mixture_log_density};
use hgad_parameters::{Parameters, Weight};

/// `sum_k p_k N(mu_k, I)` over C classes, centres and weights learned.
pub struct GaussianMixture {
    dim: usize,
    classes: usize,
    mu: Weight,
    phi: Weight,
}

impl GaussianMixture {
    /// Parameters `mu` (C, D), started by [`starting_centers`], and `phi_inter` (C), started at
    /// 0; `learned` false keeps the centres where they start.
    ///
    /// # Errors
    /// No classes or no dimensions.
    pub fn new(
        parameters: &Parameters,
        classes: usize,
        dim: usize,
        learned: bool,
    ) -> Result<Self, PriorError> {
        if classes == 0 || dim == 0 {
            let why = "a mixture needs at least one class and one dimension";
            return Err(PriorError::Setting { key: "classes", value: classes.to_string(), why });
        }
        let start = starting_centers(classes, dim);
        let mu = if learned {
            parameters.trainable("mu", (classes, dim), start)?
        } else {
            parameters.fixed("mu", (classes, dim), start)?
        };
        let phi = parameters.trainable("phi_inter", classes, vec![0.0; classes])?;
        Ok(Self { dim, classes, mu, phi })
    }

    /// Number C of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Centres (C, D).
    pub fn centers(&self) -> Tensor {
        self.mu.get()
    }
}

/// Centres (C, D) at the start, row-major: blocks of `s I_C` side by side, `s = 5 / sqrt(floor(2
/// D / C))`, the columns that are left 0 (the authors' code; method of HGAD).
pub fn starting_centers(classes: usize, dim: usize) -> Vec<f64> {
    let scale = 5.0 / ((2 * dim / classes).max(1) as f64).sqrt();
    let mut mu = vec![0.0; classes * dim];
    for column in 0..dim / classes * classes {
        mu[column % classes * dim + column] = scale;
    }
    mu
}

impl Prior for GaussianMixture {
    fn dim(&self) -> usize {
        self.dim
    }

    fn class_logits(&self, z: &Tensor) -> Result<Option<Tensor>, PriorError> {
        check(z, self.dim, None)?;
        Ok(Some(gaussian_logits(z, &self.mu.get())?))
    }

    fn log_class_weights(&self) -> Result<Option<Tensor>, PriorError> {
        Ok(Some(log_softmax(&self.phi.get())?))
    }

    fn log_density(&self, z: &Tensor, logits: Option<&Tensor>) -> Result<Tensor, PriorError> {
        check(z, self.dim, None)?;
        let logits = match logits {
            Some(l) => l.clone(),
            None => gaussian_logits(z, &self.mu.get())?,
        };
        let weights = log_softmax(&self.phi.get())?;
        Ok(log_sum_exp(&logits, &weights)?)
    }

    fn log_density_of_class(&self, z: &Tensor, labels: &[u32]) -> Result<Tensor, PriorError> {
        let (b, _) = check(z, self.dim, Some((labels, self.classes)))?;
        let index = Tensor::from_slice(labels, b, z.device())?;
        let mu = self.mu.get().index_select(&index, 0)?.unsqueeze(1)?;
        // A mixture of one, whose weight is 1.
        Ok(mixture_log_density(z, &mu, &Tensor::zeros((b, 1), z.dtype(), z.device())?)?)
    }
}
