//! The linear map that makes vectors uncorrelated and of unit variance.

use candle_core::{DType, Device, Result, Tensor};

/// Added to the variance of standardized entries before they are made uncorrelated: directions in which
/// vectors hardly vary are not blown up to the size of all others.
const RIDGE: f64 = 0.01;

/// `(x - mean) matrix` is white: standardized, then multiplied by the inverse of the Cholesky factor of
/// the correlations.
#[derive(Clone, Debug, PartialEq)]
pub struct Whitening {
    /// (D).
    pub mean: Vec<f64>,
    /// What standardizes alone: one over each entry's deviation, (D).
    pub scale: Vec<f64>,
    /// (D, D), row-major.
    pub matrix: Vec<f64>,
    /// Logarithm of the determinant of `matrix`.
    pub log_det: f64,
}

impl Whitening {
    /// Of `vectors` (N, dim), row-major; an entry's deviation counts as at least `least`. `None` of no
    /// vectors, or where mean and variance are not finite.
    ///
    /// # Errors
    /// From candle.
    pub fn fit(vectors: &[f32], dim: usize, least: f64) -> Result<Option<Self>> {
        let count = vectors.len() / dim.max(1);
        if count == 0 {
            return Ok(None);
        }
        let x = Tensor::from_slice(vectors, (count, dim), &Device::Cpu)?.to_dtype(DType::F64)?;
        let mean = x.mean(0)?;
        let x = x.broadcast_sub(&mean)?;
        let deviation = x.sqr()?.mean(0)?.sqrt()?.to_vec1::<f64>()?;
        if !deviation.iter().all(|v| v.is_finite()) {
            return Ok(None);
        }
        let scale: Vec<f64> = deviation.iter().map(|d| 1.0 / d.max(least)).collect();
        let x = x.broadcast_mul(&Tensor::from_slice(&scale, (1, dim), &Device::Cpu)?)?;
        let covariance = (x.t()?.matmul(&x)? / count as f64)?.flatten_all()?.to_vec1::<f64>()?;
        let factor = cholesky(covariance, dim);
        let inverse = inverse_of_lower(&factor, dim);
        let mut matrix = vec![0.0; dim * dim];
        for i in 0..dim {
            for j in 0..dim {
                matrix[i * dim + j] = scale[i] * inverse[j * dim + i];
            }
        }
        let log_det = (0..dim).map(|i| scale[i].ln() - factor[i * dim + i].ln()).sum();
        Ok(Some(Self { mean: mean.to_vec1()?, scale, matrix, log_det }))
    }
}

/// The lower factor L, `L Lᵀ = a + RIDGE I`, row-major; `a` is positive semidefinite.
fn cholesky(mut a: Vec<f64>, n: usize) -> Vec<f64> {
    for i in 0..n {
        a[i * n + i] += RIDGE;
    }
    for j in 0..n {
        for k in 0..j {
            let factor = a[j * n + k];
            for i in j..n {
                a[i * n + j] -= a[i * n + k] * factor;
            }
        }
        // Above 0 but for rounding: the ridge is far larger.
        let pivot = a[j * n + j].max(RIDGE * 1e-6).sqrt();
        for i in j..n {
            a[i * n + j] /= pivot;
        }
        a[j * n + j] = pivot;
        for i in 0..j {
            a[i * n + j] = 0.0;
        }
    }
    a
}

/// The inverse of a lower triangular matrix, row-major.
fn inverse_of_lower(l: &[f64], n: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; n * n];
    for j in 0..n {
        inverse[j * n + j] = 1.0 / l[j * n + j];
        for i in j + 1..n {
            let sum: f64 = (j..i).map(|k| l[i * n + k] * inverse[k * n + j]).sum();
            inverse[i * n + j] = -sum / l[i * n + i];
        }
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factor_inverse_and_determinant() {
        let (n, a) = (3, vec![4.0, 2.0, 0.6, 2.0, 5.0, 1.0, 0.6, 1.0, 3.0]);
        let l = cholesky(a.clone(), n);
        let inverse = inverse_of_lower(&l, n);
        for i in 0..n {
            for j in 0..n {
                let square: f64 = (0..n).map(|k| l[i * n + k] * l[j * n + k]).sum();
                let ridge = if i == j { RIDGE } else { 0.0 };
                assert!((square - a[i * n + j] - ridge).abs() < 1e-12);
                let one: f64 = (0..n).map(|k| l[i * n + k] * inverse[k * n + j]).sum();
                assert!((one - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
        // A diagonal case, whose determinant is known: deviations 2 and 3, uncorrelated.
        let x = [2.0, 3.0, 2.0, -3.0, -2.0, 3.0, -2.0, -3.0];
        let white = Whitening::fit(&x, 2, 1e-5).unwrap().unwrap();
        let expected = -(2f64.ln() + 3f64.ln() + (1.0 + RIDGE).ln());
        assert!((white.log_det - expected).abs() < 1e-12, "{white:?}");
        assert!(Whitening::fit(&[], 2, 1e-5).unwrap().is_none());
        assert!(Whitening::fit(&[f32::NAN, 1.0], 2, 1e-5).unwrap().is_none());
    }
}
