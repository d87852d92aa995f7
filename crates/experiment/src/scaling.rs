//! Features on a common scale: standardized or whitened by the statistics of the training images.

use crate::error::ExperimentError;
use candle_core::{Device, Tensor};
use hgad_kernels::Whitening;
use hgad_parameters::{Parameters, Weight};

/// The names of the ways to scale.
pub const SCALES: [&str; 3] = ["none", "standardize", "whiten"];

/// `(x - mean) W`, the same for every position. What it does to a density is a constant, and left out:
/// the likelihood is that of scaled features.
pub struct Scaling {
    whiten: bool,
    /// (D).
    mean: Weight,
    /// Whitening (D, D), standardizing (D).
    matrix: Weight,
}

impl Scaling {
    /// Of vectors of `dim` entries, the identity until it is fitted; `None` for `scale = "none"`.
    /// Tensors `mean` and `matrix` in `parameters`, which are saved and never trained.
    ///
    /// # Errors
    /// Another name than those of [`SCALES`].
    pub fn new(
        scale: &str,
        parameters: &Parameters,
        dim: usize,
    ) -> Result<Option<Self>, ExperimentError> {
        let whiten = match scale {
            "none" => return Ok(None),
            "standardize" => false,
            "whiten" => true,
            _ => {
                return Err(ExperimentError::Setting {
                    key: "features.scale",
                    value: scale.into(),
                    reason: format!("expected one of {}", SCALES.join(", ")),
                });
            }
        };
        let mean = parameters.fixed("mean", dim, vec![0.0; dim])?;
        let matrix = match whiten {
            true => {
                let one = (0..dim * dim).map(|i| f64::from(u8::from(i / dim == i % dim)));
                parameters.fixed("matrix", (dim, dim), one.collect())?
            }
            false => parameters.fixed("matrix", dim, vec![1.0; dim])?,
        };
        Ok(Some(Self { whiten, mean, matrix }))
    }

    /// Takes mean and covariance from `vectors` (N, D), row-major: channels are standardized, and where
    /// they are whitened too, made uncorrelated ([`Whitening`]).
    ///
    /// # Errors
    /// No vectors; values that are not finite.
    pub fn fit(&self, vectors: &[f32]) -> Result<(), ExperimentError> {
        let dim = self.mean.get().dim(0)?;
        // A channel that never varies says nothing, whatever it is divided by.
        let Some(found) = Whitening::fit(vectors, dim, 1e-5)? else {
            return Err(ExperimentError::Setting {
                key: "features.scale",
                value: if self.whiten { "whiten" } else { "standardize" }.into(),
                reason: "the features of the training images have no finite mean and variance"
                    .into(),
            });
        };
        self.mean.set(&Tensor::from_vec(found.mean, dim, &Device::Cpu)?)?;
        Ok(self.matrix.set(&match self.whiten {
            true => Tensor::from_vec(found.matrix, (dim, dim), &Device::Cpu)?,
            false => Tensor::from_vec(found.scale, dim, &Device::Cpu)?,
        })?)
    }

    /// Scaled vectors, `x` (N, D) row-major.
    ///
    /// # Errors
    /// Another length than a multiple of D.
    pub fn apply(&self, x: Vec<f32>) -> Result<Vec<f32>, ExperimentError> {
        let mean = self.mean.get().to_device(&Device::Cpu)?.detach();
        let matrix = self.matrix.get().to_device(&Device::Cpu)?.detach();
        let dim = mean.dim(0)?;
        let x = {
            let rows = x.len() / dim;
            Tensor::from_vec(x, (rows, dim), &Device::Cpu)?
        };
        let x = x.broadcast_sub(&mean)?;
        let x = if self.whiten { x.matmul(&matrix)? } else { x.broadcast_mul(&matrix)? };
        Ok(x.flatten_all()?.to_vec1()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;
    use hgad_parameters::seeded;

    fn vectors() -> Vec<f32> {
        let mut draws = seeded(3, "scaling");
        (0..4000)
            .flat_map(|_| {
                let (a, b, c) = (draws.normal(), draws.normal(), draws.normal());
                [5.0 * a + 2.0, 3.0 * a + b - 1.0, 0.1 * c, 7.0].map(|v| v as f32)
            })
            .collect()
    }

    fn covariance(x: &[f32], dim: usize) -> Vec<f64> {
        let n = (x.len() / dim) as f64;
        let mean: Vec<f64> =
            (0..dim).map(|i| x.chunks(dim).map(|r| f64::from(r[i])).sum::<f64>() / n).collect();
        (0..dim * dim)
            .map(|k| {
                let (i, j) = (k / dim, k % dim);
                let of = |r: &[f32]| (f64::from(r[i]) - mean[i]) * (f64::from(r[j]) - mean[j]);
                x.chunks(dim).map(of).sum::<f64>() / n
            })
            .collect()
    }

    fn scaled(scale: &str) -> Vec<f64> {
        let parameters = Parameters::new(0, DType::F32, &Device::Cpu);
        let scaling = Scaling::new(scale, &parameters, 4).unwrap().unwrap();
        scaling.fit(&vectors()).unwrap();
        covariance(&scaling.apply(vectors()).unwrap(), 4)
    }

    #[test]
    fn standardized_channels_vary_by_one_and_constant_ones_not() {
        let c = scaled("standardize");
        for (i, expected) in [1.0, 1.0, 1.0, 0.0].into_iter().enumerate() {
            assert!((c[i * 5] - expected).abs() < 1e-3, "{c:?}");
        }
        assert!(c[1] > 0.9, "channels stay correlated: {c:?}");
    }

    #[test]
    fn whitened_channels_have_covariance_one_but_for_the_ridge() {
        let parameters = Parameters::new(0, DType::F32, &Device::Cpu);
        let scaling = Scaling::new("whiten", &parameters, 4).unwrap().unwrap();
        scaling.fit(&vectors()).unwrap();
        let got = covariance(&scaling.apply(vectors()).unwrap(), 4);
        // `R + ridge = L Lᵀ`, so `L⁻¹ R L⁻ᵀ + ridge L⁻¹ L⁻ᵀ = I`; rows of `L⁻ᵀ` are what a channel that
        // lies one deviation off its mean becomes.
        let before = covariance(&vectors(), 4);
        let rows: Vec<Vec<f32>> = (0..3)
            .map(|i| {
                let one = before[i * 5].sqrt() as f32;
                let pair = |k: usize| if k == i { one } else { 0.0 };
                let off: Vec<f32> = (0..4).map(pair).collect();
                let both = scaling.apply([off, vec![0.0; 4]].concat()).unwrap();
                (0..4).map(|k| both[k] - both[4 + k]).collect()
            })
            .collect();
        for i in 0..3 {
            for j in 0..3 {
                let ridge = 0.01 * rows.iter().map(|r| f64::from(r[i] * r[j])).sum::<f64>();
                let one = f64::from(u8::from(i == j));
                let found = got[i * 4 + j] + ridge;
                assert!((found - one).abs() < 1e-3, "{i} {j}: {found}");
            }
        }
        // It does something: the first two are correlated by 0.95 before.
        assert!(before[1] / (before[0] * before[5]).sqrt() > 0.9 && got[1].abs() < 0.05, "{got:?}");
    }

    #[test]
    fn before_it_is_fitted_it_changes_nothing() {
        let parameters = Parameters::new(0, DType::F32, &Device::Cpu);
        let scaling = Scaling::new("whiten", &parameters, 4).unwrap().unwrap();
        assert_eq!(scaling.apply(vectors()).unwrap(), vectors());
        assert!(Scaling::new("none", &parameters, 4).unwrap().is_none());
        let error = Scaling::new("big", &parameters, 4).err().unwrap().to_string();
        assert!(error.contains("features.scale") && error.contains("whiten"), "{error}");
    }
}
