//! A prior with heavy tails: one multivariate Student t a class.

use candle_core::{D, Tensor};
use hgad_kernels::{gaussian_logits, log_softmax, log_sum_exp};
use hgad_parameters::{Parameters, Weight};
use hgad_priors::{Prior, PriorConfig, PriorError, starting_centers};

/// `sum_k p_k t_nu(z; mu_k, I)`. Far from its centre a density falls as a power of the distance,
/// and not as its exponential: a few odd vectors in the training images pull less.
struct StudentMixture {
    dim: usize,
    degrees: f64,
    mu: Weight,
    phi: Weight,
}

/// Makes it; `options.degrees` is nu, 5 by default.
pub fn build(parameters: &Parameters, c: &PriorConfig) -> Result<Box<dyn Prior>, PriorError> {
    c.options.only(&c.kind, &["degrees"])?;
    let degrees = c.options.get(&c.kind, "degrees", 5.0, "a number of degrees of freedom")?;
    if !(degrees > 0.0 && f64::is_finite(degrees)) {
        let why = "expected a positive number";
        return Err(PriorError::Setting { key: "degrees", value: degrees.to_string(), why });
    }
    let start = starting_centers(c.classes, c.dim);
    Ok(Box::new(StudentMixture {
        dim: c.dim,
        degrees,
        mu: parameters.trainable("mu", (c.classes, c.dim), start)?,
        phi: parameters.trainable("phi_inter", c.classes, vec![0.0; c.classes])?,
    }))
}

impl StudentMixture {
    /// `-(nu + D)/2 ln(1 + |z - mu_k|² / nu)`, (B, P, C); the constant is left out.
    fn logits(&self, z: &Tensor) -> Result<Tensor, PriorError> {
        let square = (gaussian_logits(z, &self.mu.get())? * -2.0)?;
        let log = ((square / self.degrees)? + 1.0)?.log()?;
        Ok((log * (-0.5 * (self.degrees + self.dim as f64)))?)
    }
}

impl Prior for StudentMixture {
    fn dim(&self) -> usize {
        self.dim
    }

    fn class_logits(&self, z: &Tensor) -> Result<Option<Tensor>, PriorError> {
        Ok(Some(self.logits(z)?))
    }

    fn log_class_weights(&self) -> Result<Option<Tensor>, PriorError> {
        Ok(Some(log_softmax(&self.phi.get())?))
    }

    fn log_density(&self, z: &Tensor, logits: Option<&Tensor>) -> Result<Tensor, PriorError> {
        let logits = match logits {
            Some(logits) => logits.clone(),
            None => self.logits(z)?,
        };
        Ok(log_sum_exp(&logits, &log_softmax(&self.phi.get())?)?)
    }

    fn log_density_of_class(&self, z: &Tensor, labels: &[u32]) -> Result<Tensor, PriorError> {
        let logits = self.logits(z)?;
        let (b, p, _) = logits.dims3()?;
        let index = Tensor::from_slice(labels, (b, 1, 1), z.device())?;
        let index = index.broadcast_as((b, p, 1))?.contiguous()?;
        Ok(logits.gather(&index, D::Minus1)?.squeeze(D::Minus1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn it_is_the_density_of_student() {
        let p = Parameters::new(0, DType::F64, &Device::Cpu);
        let options = [("degrees".to_string(), "3".to_string())].into_iter().collect();
        let config = PriorConfig {
            kind: "student".into(),
            classes: 2,
            dim: 3,
            options,
            ..Default::default()
        };
        let prior = build(&p, &config).unwrap();
        let mu = p.state()[0].1.to_vec2::<f64>().unwrap();
        let z = [0.5, -1.0, 2.0, 1.5, 0.0, -0.5];
        let t = Tensor::from_slice(&z, (2, 1, 3), &Device::Cpu).unwrap();
        let got = prior.log_density_of_class(&t, &[1, 0]).unwrap().to_vec2::<f64>().unwrap();
        for (image, class) in [1usize, 0].into_iter().enumerate() {
            let square: f64 = (0..3).map(|d| (z[image * 3 + d] - mu[class][d]).powi(2)).sum();
            let expected = -3.0 * (1.0 + square / 3.0).ln();
            assert!((got[image][0] - expected).abs() < 1e-12);
        }
    }
}
