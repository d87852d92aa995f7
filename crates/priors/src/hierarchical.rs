//! Several Gaussians a class around the class's main centre: HGAD's hierarchical mixture.

use crate::k_means::Clusters;
use crate::mixture::weight;
use crate::prior::check;
use crate::{Covariance, GaussianMixture, Learned, Prior, PriorError, Start};
use candle_core::{DType, Device, Tensor};
use hgad_kernels::log_softmax;
use hgad_parameters::{Draws, Parameters, Weight};

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
    /// covariances are learned, with them as in [`Covariance::logits`]. Under full covariances `delta` is
    /// in the whitened coordinates of the class.
    fn log_density_of_class(&self, z: &Tensor, labels: &[u32]) -> Result<Tensor, PriorError> {
        let (b, _) = check(z, self.dim(), Some((labels, self.main.classes())))?;
        let labels = Tensor::from_slice(labels, b, z.device())?;
        let weights = log_softmax(&self.phi.get())?.index_select(&labels, 0)?;
        if let Some(whitening) = self.main.whitening() {
            let mu = self.main.centers().detach().index_select(&labels, 0)?.unsqueeze(1)?;
            let (u, log_det) = whitening.of_class(z, &mu, &labels)?;
            let around = self.delta.get().index_select(&labels, 0)?;
            let centers = Tensor::cat(&[&mu.zeros_like()?, &around], 1)?;
            let density = self.covariance.mixture(&u, &centers, &weights, &labels)?;
            return Ok(density.broadcast_add(&log_det)?);
        }
        let centers = self.centers_of(&labels)?;
        Ok(self.covariance.mixture(z, &centers, &weights, &labels)?)
    }

    fn coordinates_of_class(&self, z: &Tensor, labels: &[u32]) -> Result<Tensor, PriorError> {
        self.main.coordinates_of_class(z, labels)
    }

    fn main_centers(&self) -> Result<Option<Tensor>, PriorError> {
        self.main.main_centers()
    }

    /// The main centres as [`GaussianMixture`] starts them; the others of a class become the centres of
    /// clusters of its latents, or a coreset, with their deviations and shares. The main centre, which
    /// stands for all of them, counts as one of M.
    fn start(
        &self,
        z: &[f32],
        labels: &[u32],
        how: Start,
        draws: &mut Draws,
    ) -> Result<bool, PriorError> {
        let classes = self.main.start_classes(z, labels, draws)?;
        let (dim, centers) = (self.dim(), self.phi.get().dim(1)?);
        let mut delta = self
            .delta
            .get()
            .to_device(&Device::Cpu)?
            .to_dtype(DType::F32)?
            .flatten_all()?
            .to_vec1::<f32>()?;
        let mut deviations = vec![1.0; classes.len() * centers * dim];
        let mut phi = vec![0.0; classes.len() * centers];
        for (class, own) in classes.iter().enumerate().filter(|(_, own)| !own.is_empty()) {
            let all = Clusters::fit(own, dim, 1, draws)?;
            let parts = match how {
                Start::Clusters => Clusters::fit(own, dim, centers - 1, draws)?,
                Start::Coreset => Clusters::around_coreset(own, dim, centers - 1, draws)?,
            };
            let around = (centers - 1) * dim;
            let of_class = &mut delta[class * around..(class + 1) * around];
            of_class.iter_mut().zip(&parts.centers).for_each(|(d, c)| *d = *c as f32);
            let of_class = &mut deviations[class * centers * dim..(class + 1) * centers * dim];
            of_class[..dim].copy_from_slice(&all.deviations);
            of_class[dim..].copy_from_slice(&parts.deviations);
            let share = 1.0 / centers as f64;
            phi[class * centers] = share.ln();
            for (p, s) in
                phi[class * centers + 1..(class + 1) * centers].iter_mut().zip(parts.shares)
            {
                // An empty cluster keeps a weight that training can raise.
                *p = (s * (1.0 - share)).max(1e-4).ln();
            }
        }
        let count = classes.len();
        self.delta.set(&Tensor::from_vec(delta, (count, centers - 1, dim), &Device::Cpu)?)?;
        self.covariance.start(&deviations)?;
        self.phi.set(&Tensor::from_vec(phi, (count, centers), &Device::Cpu)?)?;
        Ok(true)
    }

    fn has_intra_classes(&self) -> bool {
        true
    }
}
