//! Mixtures whose logits are affine: Gaussians of diagonal covariance, with their squares expanded.

use crate::mixture::{Form, MixtureLogDensity};
use crate::storage::is_fused;
use candle_core::{D, Result, Tensor, bail};

/// `logsumexp_k(b_k + x w_k)` for G mixtures: `x` (G, P, E), `w` (G, K, E) and `b` (G, K) to (G, P), gradients
/// for all three; a tile of rows at a time, so that nothing of size P x K is made.
///
/// With `x = [z, z²]` and `w = [c / σ², -½ / σ²]` it is the log-density of a mixture of Gaussians of diagonal
/// covariance, `b` their weights and constants.
///
/// # Errors
/// Shapes that do not belong together.
pub fn affine_log_sum_exp(x: &Tensor, w: &Tensor, b: &Tensor) -> Result<Tensor> {
    let ((g, _, e), (of_w, k, width)) = (x.dims3()?, w.dims3()?);
    if of_w != g || width != e || e == 0 || k == 0 || b.dims() != [g, k] {
        bail!(
            "affine mixture: x {:?}, w {:?} and b {:?} do not belong together",
            x.dims(),
            w.dims(),
            b.dims()
        )
    }
    if is_fused(x) {
        let op = MixtureLogDensity(Form::Affine);
        return x.contiguous()?.apply_op3(&w.contiguous()?, &b.contiguous()?, op);
    }
    let dots = x.contiguous()?.matmul(&w.transpose(1, 2)?.contiguous()?)?;
    dots.broadcast_add(&b.unsqueeze(1)?)?.log_sum_exp(D::Minus1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Var};

    #[test]
    fn values_and_gradients_are_those_of_plain_autograd() {
        for (g, p, k, e) in [(1, 1, 1, 1), (2, 97, 5, 12), (3, 200, 33, 80)] {
            let draw = |shape: &[usize]| {
                Var::from_tensor(&Tensor::randn(0.0f32, 0.7, shape, &Device::Cpu).unwrap()).unwrap()
            };
            let (x, w, b) = (draw(&[g, p, e]), draw(&[g, k, e]), draw(&[g, k]));
            let slopes = Tensor::randn(0.0f32, 1.0, (g, p), &Device::Cpu).unwrap();
            let fused = affine_log_sum_exp(&x, &w, &b).unwrap();
            // In f64, where the composition is taken.
            let double =
                [&x, &w, &b].map(|v| Var::from_tensor(&v.to_dtype(DType::F64).unwrap()).unwrap());
            let plain = affine_log_sum_exp(&double[0], &double[1], &double[2]).unwrap();
            let close = |a: &Tensor, b: &Tensor| {
                let off = (a.to_dtype(DType::F64).unwrap() - b).unwrap().abs().unwrap();
                let most = off.max_all().unwrap().to_scalar::<f64>().unwrap();
                let size = b.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
                assert!(most < 1e-4 * size.max(1.0), "{g} {p} {k} {e}: {most} of {size}");
            };
            close(&fused, &plain);
            let got = (&fused * &slopes).unwrap().sum_all().unwrap().backward().unwrap();
            let slopes = slopes.to_dtype(DType::F64).unwrap();
            let expected = (&plain * &slopes).unwrap().sum_all().unwrap().backward().unwrap();
            for (v, d) in [&x, &w, &b].into_iter().zip(&double) {
                close(got.get(v).unwrap(), expected.get(d).unwrap());
            }
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, &Device::Cpu).unwrap();
        let (x, w, b) = (zeros(&[2, 3, 4]), zeros(&[2, 5, 4]), zeros(&[2, 5]));
        assert!(affine_log_sum_exp(&x, &w, &b).is_ok());
        assert!(affine_log_sum_exp(&x, &zeros(&[2, 5, 3]), &b).is_err());
        assert!(affine_log_sum_exp(&x, &zeros(&[1, 5, 4]), &b).is_err());
        assert!(affine_log_sum_exp(&x, &w, &zeros(&[2, 4])).is_err());
    }
}
