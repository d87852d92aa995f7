//! The distance to the nearest of many vectors, without a matrix of all distances.

use crate::isa::{Isa, dispatch};
use crate::mixture::{Centers, gaussian_logits};
use crate::product::TILE;
use crate::row;
use crate::storage::{contiguous, is_fused};
use candle_core::{CpuStorage, CustomOp2, D, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// `max_k -½ |z - c_k|²`, minus half the squared distance to the nearest centre: `z` (.., D) and `centers`
/// (K, D) to (..). The largest of [`gaussian_logits`], of which a tile of rows is made at a time, so that K may
/// be thousands. No gradients: what is nearest is looked up, not trained.
///
/// # Errors
/// Shapes that do not belong together.
pub fn nearest_logit(z: &Tensor, centers: &Tensor) -> Result<Tensor> {
    let (k, d) = centers.dims2()?;
    if z.dims().last() != Some(&d) || d == 0 || k == 0 {
        bail!("nearest: z {:?} and centres {:?} do not belong together", z.dims(), centers.dims())
    }
    if is_fused(z) {
        return z.contiguous()?.apply_op2_no_bwd(&centers.contiguous()?, &NearestLogit);
    }
    gaussian_logits(z, centers)?.max(D::Minus1)
}

struct NearestLogit;

impl CustomOp2 for NearestLogit {
    fn name(&self) -> &'static str {
        "nearest_logit"
    }

    fn cpu_fwd(
        &self,
        z: &CpuStorage,
        lz: &Layout,
        centers: &CpuStorage,
        lc: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (k, d) = lc.shape().dims2()?;
        let rows = lz.shape().elem_count() / d;
        let z = contiguous(self.name(), z, lz)?;
        let centers = Centers::new(contiguous(self.name(), centers, lc)?, k, d);
        let mut out = vec![0.0; rows];
        out.par_chunks_mut(TILE).zip(z.par_chunks(TILE * d)).for_each_init(
            || vec![0.0; TILE * k],
            |logits, (out, z)| {
                let logits = &mut logits[..out.len() * k];
                centers.logits(z, logits);
                largest(logits, out);
            },
        );
        Ok((CpuStorage::F32(out), lz.dims()[..lz.dims().len() - 1].into()))
    }
}

dispatch!(
    /// The largest number of each row of `x`.
    fn largest(x: &[f32], out: &mut [f32]) = largest_body
);
#[inline(always)]
fn largest_body<I: Isa>(x: &[f32], out: &mut [f32]) {
    let k = x.len() / out.len().max(1);
    x.chunks_exact(k.max(1)).zip(out).for_each(|(x, out)| *out = row::max(x));
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn it_is_the_largest_of_all_logits_at_every_size() {
        let draw = |shape: &[usize]| Tensor::randn(0.0f32, 2.0, shape, &Device::Cpu).unwrap();
        for (rows, k, d) in [(1, 1, 1), (95, 7, 5), (97, 33, 16), (200, 1000, 40), (3, 64, 112)] {
            let (z, centers) = (draw(&[rows, d]), draw(&[k, d]));
            let expected = z
                .unsqueeze(1)
                .and_then(|z| z.broadcast_sub(&centers.unsqueeze(0)?))
                .and_then(|off| off.sqr()?.sum(D::Minus1)?.min(D::Minus1)?.affine(-0.5, 0.0))
                .and_then(|all| all.to_vec1::<f32>())
                .unwrap();
            let got = nearest_logit(&z, &centers).unwrap().to_vec1::<f32>().unwrap();
            for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
                let close = (got - expected).abs() < 1e-4 * expected.abs().max(1.0);
                assert!(close, "{rows} {k} {d}, row {i}: {got} is not {expected}");
            }
        }
    }

    #[test]
    fn shapes_stay_and_those_that_do_not_fit_are_refused() {
        let z = Tensor::zeros((2, 3, 4), candle_core::DType::F32, &Device::Cpu).unwrap();
        let centers = Tensor::ones((5, 4), candle_core::DType::F32, &Device::Cpu).unwrap();
        let got = nearest_logit(&z, &centers).unwrap();
        assert_eq!(got.dims(), [2, 3]);
        assert_eq!(got.flatten_all().unwrap().to_vec1::<f32>().unwrap(), [-2.0; 6]);
        assert!(nearest_logit(&z, &centers.narrow(1, 0, 3).unwrap()).is_err());
        let double = z.to_dtype(candle_core::DType::F64).unwrap();
        let centers = centers.to_dtype(candle_core::DType::F64).unwrap();
        assert_eq!(nearest_logit(&double, &centers).unwrap().dims(), [2, 3]);
    }
}
