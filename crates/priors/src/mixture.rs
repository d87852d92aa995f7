//! One Gaussian a class: the inter-class mixture.

use crate::class_whitening::ClassWhitening;
use crate::k_means::Clusters;
use crate::prior::{by_class, check};
use crate::{Covariance, Prior, PriorError, Spread, Start};
use candle_core::{DType, Device, Tensor};
use hgad_kernels::{log_softmax, log_sum_exp};
use hgad_parameters::{Draws, Parameters, Weight, seeded};

/// `sum_k p_k N(mu_k, S_k)` over C classes.
pub struct GaussianMixture {
    dim: usize,
    classes: usize,
    mu: Weight,
    phi: Weight,
    covariance: Covariance,
    whitening: Option<ClassWhitening>,
}

/// What of a mixture is learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    /// The centres; else they stay where they start.
    pub centers: bool,
    /// The weights of classes and of centres in a class; else all are equal.
    pub weights: bool,
    /// The covariances.
    pub spread: Spread,
}

impl Default for Learned {
    /// The paper's: centres and weights, unit covariances.
    fn default() -> Self {
        Self { centers: true, weights: true, spread: Spread::Identity }
    }
}

impl GaussianMixture {
    /// Parameters `mu` (C, D), started by [`starting_centers`], `phi_inter` (C), started at 0, and
    /// for a diagonal covariance `log_std` (C, D), started at 0.
    ///
    /// # Errors
    /// No classes or no dimensions.
    pub fn new(
        parameters: &Parameters,
        classes: usize,
        dim: usize,
        learned: Learned,
    ) -> Result<Self, PriorError> {
        if classes == 0 || dim == 0 {
            let why = "a mixture needs at least one class and one dimension";
            return Err(PriorError::Setting { key: "classes", value: classes.to_string(), why });
        }
        let start = starting_centers(classes, dim);
        let mu = weight(parameters, "mu", (classes, dim), start, learned.centers)?;
        let even = vec![0.0; classes];
        let phi = weight(parameters, "phi_inter", classes, even, learned.weights)?;
        let covariance = Covariance::new(parameters, "log_std", (classes, dim), learned.spread)?;
        let whitening = match learned.spread {
            Spread::Whitened => Some(ClassWhitening::new(parameters, classes, dim)?),
            _ => None,
        };
        Ok(Self { dim, classes, mu, phi, covariance, whitening })
    }

    /// The maps that whiten each class, where covariances are full.
    pub(crate) fn whitening(&self) -> Option<&ClassWhitening> {
        self.whitening.as_ref()
    }

    fn logits(&self, z: &Tensor) -> Result<Tensor, PriorError> {
        let mu = self.mu.get();
        Ok(match (&self.whitening, self.covariance.log_std()) {
            (Some(whitening), Some(log_std)) => whitening.logits(z, &mu, &log_std)?,
            _ => self.covariance.logits(z, &mu)?,
        })
    }

    /// Places the main Gaussians; gives the latents of each class as Gaussians around its main centre see
    /// them, whitened where they are.
    pub(crate) fn start_classes(
        &self,
        z: &[f32],
        labels: &[u32],
        draws: &mut Draws,
    ) -> Result<Vec<Vec<f32>>, PriorError> {
        let (dim, classes) = (self.dim, by_class(z, labels, self.dim, self.classes)?);
        let mut mu = self
            .mu
            .get()
            .to_device(&Device::Cpu)?
            .to_dtype(DType::F32)?
            .flatten_all()?
            .to_vec1::<f32>()?;
        let mut shares = vec![1.0; self.classes];
        for (class, own) in classes.iter().enumerate().filter(|(_, own)| !own.is_empty()) {
            let center = Clusters::fit(own, dim, 1, draws)?.centers;
            mu[class * dim..][..dim].iter_mut().zip(center).for_each(|(m, c)| *m = c as f32);
            shares[class] = own.len() as f64;
        }
        let around: Vec<Vec<f32>> = match &self.whitening {
            Some(whitening) => whitening.start(&classes, dim)?,
            None => {
                let own = classes.iter().zip(mu.chunks_exact(dim));
                own.map(|(z, mu)| z.iter().zip(mu.iter().cycle()).map(|(z, m)| z - m).collect())
                    .collect()
            }
        };
        let mut deviations = vec![1.0; self.classes * dim];
        for (class, own) in around.iter().enumerate().filter(|(_, own)| !own.is_empty()) {
            let found = Clusters::fit(own, dim, 1, draws)?.deviations;
            deviations[class * dim..][..dim].copy_from_slice(&found);
        }
        self.mu.set(&Tensor::from_vec(mu, (self.classes, dim), &Device::Cpu)?)?;
        self.covariance.start(&deviations)?;
        let logs: Vec<f64> = shares.iter().map(|s| s.ln()).collect();
        let mean = logs.iter().sum::<f64>() / logs.len() as f64;
        let phi = logs.iter().map(|l| l - mean).collect();
        self.phi.set(&Tensor::from_vec(phi, self.classes, &Device::Cpu)?)?;
        Ok(around)
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

/// A parameter that is learned or stays as it starts; a weights file has it either way.
pub(crate) fn weight(
    parameters: &Parameters,
    name: &str,
    shape: impl Into<candle_core::Shape>,
    start: Vec<f64>,
    learned: bool,
) -> Result<Weight, PriorError> {
    Ok(if learned {
        parameters.trainable(name, shape, start)?
    } else {
        parameters.fixed(name, shape, start)?
    })
}

/// Centres (C, D) at the start, row-major: blocks of `s I_C` side by side, `s = 5 / sqrt(floor(2
/// D / C))`, the columns that are left 0 (the authors' code; method of HGAD).
///
/// With fewer dimensions than classes that would put all centres in the origin, where none can
/// part from the others: they start spread over the sphere of radius 5 instead.
pub fn starting_centers(classes: usize, dim: usize) -> Vec<f64> {
    if dim < classes {
        return spread_over_sphere(classes, dim, 5.0);
    }
    let scale = 5.0 / ((2 * dim / classes).max(1) as f64).sqrt();
    let mut mu = vec![0.0; classes * dim];
    for column in 0..dim / classes * classes {
        mu[column % classes * dim + column] = scale;
    }
    mu
}

/// `count` points of that radius, each the one of many drawn that is farthest from those before.
fn spread_over_sphere(count: usize, dim: usize, radius: f64) -> Vec<f64> {
    let mut draws = seeded(0, "starting_centers");
    let mut point = || {
        let p: Vec<f64> = (0..dim).map(|_| draws.normal()).collect();
        let norm = p.iter().map(|v| v * v).sum::<f64>().sqrt();
        p.into_iter().map(|v| radius * v / norm).collect::<Vec<_>>()
    };
    let square = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let mut chosen: Vec<Vec<f64>> = Vec::with_capacity(count);
    for _ in 0..count {
        let nearest = |p: &[f64]| chosen.iter().map(|c| square(c, p)).fold(f64::INFINITY, f64::min);
        let drawn = (0..64).map(|_| point());
        chosen.extend(drawn.max_by(|a, b| nearest(a).total_cmp(&nearest(b))));
    }
    chosen.concat()
}

impl Prior for GaussianMixture {
    fn dim(&self) -> usize {
        self.dim
    }

    fn class_logits(&self, z: &Tensor) -> Result<Option<Tensor>, PriorError> {
        check(z, self.dim, None)?;
        Ok(Some(self.logits(z)?))
    }

    fn log_class_weights(&self) -> Result<Option<Tensor>, PriorError> {
        Ok(Some(log_softmax(&self.phi.get())?))
    }

    fn log_density(&self, z: &Tensor, logits: Option<&Tensor>) -> Result<Tensor, PriorError> {
        check(z, self.dim, None)?;
        let logits = match logits {
            Some(l) => l.clone(),
            None => self.logits(z)?,
        };
        let weights = log_softmax(&self.phi.get())?;
        Ok(log_sum_exp(&logits, &weights)?)
    }

    fn log_density_of_class(&self, z: &Tensor, labels: &[u32]) -> Result<Tensor, PriorError> {
        let (b, _) = check(z, self.dim, Some((labels, self.classes)))?;
        let index = Tensor::from_slice(labels, b, z.device())?;
        let mu = self.mu.get().index_select(&index, 0)?.unsqueeze(1)?;
        // A mixture of one, whose weight is 1.
        let weights = Tensor::zeros((b, 1), z.dtype(), z.device())?;
        if let Some(whitening) = &self.whitening {
            let (u, log_det) = whitening.of_class(z, &mu, &index)?;
            let density = self.covariance.mixture(&u, &mu.zeros_like()?, &weights, &index)?;
            return Ok(density.broadcast_add(&log_det)?);
        }
        Ok(self.covariance.mixture(z, &mu, &weights, &index)?)
    }

    fn coordinates_of_class(&self, z: &Tensor, labels: &[u32]) -> Result<Tensor, PriorError> {
        let (b, _) = check(z, self.dim(), Some((labels, self.classes())))?;
        let Some(whitening) = self.whitening() else { return Ok(z.clone()) };
        let labels = Tensor::from_slice(labels, b, z.device())?;
        let mu = self.centers().detach().index_select(&labels, 0)?.unsqueeze(1)?;
        Ok(whitening.of_class(z, &mu, &labels)?.0)
    }

    fn main_centers(&self) -> Result<Option<Tensor>, PriorError> {
        Ok(Some(self.centers().detach()))
    }

    /// Each class's centre becomes the mean of its latents, its deviations theirs, its weight its share.
    fn start(
        &self,
        z: &[f32],
        labels: &[u32],
        _: Start,
        draws: &mut Draws,
    ) -> Result<bool, PriorError> {
        self.start_classes(z, labels, draws)?;
        Ok(true)
    }
}
