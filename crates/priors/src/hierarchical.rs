//! Several Gaussians a class around the class's main centre: HGAD's hierarchical mixture.

use crate::mixture::weight;
use crate::prior::{check, log_softmax};
use crate::{Covariance, GaussianMixture, Learned, Prior, PriorError};
use candle_core::Tensor;
use hgad_parameters::{Parameters, Weight};

/// The inter-class mixture `sum_k p_k N(mu_k, S_k)`, and within class y the mixture of M centres
/// `mu_y` and `mu_y + delta_y,i` with weights and covariances of its own (Yao et al., ECCV 2024,
/// whose covariances are all the identity).
pub struct HierarchicalMixture {
    main: GaussianMixture,
    delta: Weight,
    phi: Weight,
    covariance: Covariance,
}

impl HierarchicalMixture {
    /// Beside [`GaussianMixture`]'s parameters `delta` (C, M - 1, D), started from N(0, 1), and
    /// `phi_intra` (C, M), started at 0, and for a diagonal covariance `log_std_intra` (C, M, D),
    /// started at 0.
    ///
    /// # Errors
    /// No classes, no dimensions, fewer than 2 centres.
    pub fn new(
        parameters: &Parameters,
        classes: usize,
        dim: usize,
        centers: usize,
        learned: Learned,
    ) -> Result<Self, PriorError> {
        if centers < 2 {
            let why = "a class needs at least 2 centres here; `mixture` is the prior with one";
            return Err(PriorError::Setting { key: "centers", value: centers.to_string(), why });
        }
        let main = GaussianMixture::new(parameters, classes, dim, learned)?;
        let delta = parameters.normal("delta", (classes, centers - 1, dim))?;
        let (shape, even) = ((classes, centers), vec![0.0; classes * centers]);
        let phi = weight(parameters, "phi_intra", shape, even, learned.weights)?;
        let shape = (classes, centers, dim);
        let covariance = Covariance::new(parameters, "log_std_intra", shape, learned.spread)?;
        Ok(Self { main, delta, phi, covariance })
    }

    /// Centres (B, M, D) of the classes of `labels`, the main one first. Gradients do not pass
    /// to `mu`: the main centres are the first stage's to place.
    fn centers_of(&self, labels: &Tensor) -> Result<Tensor, PriorError> {
        let main = self.main.centers().detach().index_select(labels, 0)?.unsqueeze(1)?;
        let around = self.delta.get().index_select(labels, 0)?.broadcast_add(&main)?;
        Ok(Tensor::cat(&[&main, &around], 1)?)
    }
}

impl Prior for HierarchicalMixture {
    fn dim(&self) -> usize {
        self.main.dim()
    }

    fn class_logits(&self, z: &Tensor) -> Result<Option<Tensor>, PriorError> {
        self.main.class_logits(z)
    }

    fn log_class_weights(&self) -> Result<Option<Tensor>, PriorError> {
        self.main.log_class_weights()
    }

    fn log_density(&self, z: &Tensor, logits: Option<&Tensor>) -> Result<Tensor, PriorError> {
        self.main.log_density(z, logits)
    }

    /// `logsumexp_i(-½ |z - (mu_y + delta_y,i)|² + ln softmax(phi_intra_y)_i)`, and where
    /// covariances are learned, with them as in [`Covariance::logits`].
    fn log_density_of_class(&self, z: &Tensor, labels: &[u32]) -> Result<Tensor, PriorError> {
        let (b, _) = check(z, self.dim(), Some((labels, self.main.classes())))?;
        let labels = Tensor::from_slice(labels, b, z.device())?;
        let centers = self.centers_of(&labels)?;
        let weights = log_softmax(&self.phi.get())?.index_select(&labels, 0)?;
        Ok(self.covariance.mixture(z, &centers, &weights, &labels)?)
    }

    fn main_centers(&self) -> Result<Option<Tensor>, PriorError> {
        self.main.main_centers()
    }

    fn has_intra_classes(&self) -> bool {
        true
    }
}
