//! Full covariances, one a class: each class's latents are whitened before Gaussians are laid on them.

use crate::PriorError;
use candle_core::{D, DType, Device, Result, Tensor};
use hgad_kernels::Whitening;
use hgad_parameters::{Parameters, Weight};

/// No entry of a class is blown up by more than one over this: what never varied in a class's sample may
/// vary a little in its next image.
const LEAST_DEVIATION: f64 = 0.02;

/// A linear map a class, taken from a sample and not trained: `u = (z - mu_k) A_k` has covariance about
/// the identity, so that a Gaussian of unit or diagonal covariance on `u` is one of full covariance on
/// `z`. Its determinant counts in the density.
pub(crate) struct ClassWhitening {
    /// (C, D, D).
    matrix: Weight,
    /// (C).
    log_det: Weight,
}

impl ClassWhitening {
    /// The identity: fixed `whitening` (C, D, D) and `whitening_log_det` (C).
    pub(crate) fn new(
        parameters: &Parameters,
        classes: usize,
        dim: usize,
    ) -> std::result::Result<Self, PriorError> {
        let one = |i: usize| f64::from(u8::from(i / dim % dim == i % dim));
        let start = (0..classes * dim * dim).map(one).collect();
        Ok(Self {
            matrix: parameters.fixed("whitening", (classes, dim, dim), start)?,
            log_det: parameters.fixed("whitening_log_det", classes, vec![0.0; classes])?,
        })
    }

    /// Takes the maps from the latents of each class, row-major, and gives them whitened; a class without
    /// any keeps the identity.
    pub(crate) fn start(
        &self,
        classes: &[Vec<f32>],
        dim: usize,
    ) -> std::result::Result<Vec<Vec<f32>>, PriorError> {
        let mut matrices = self
            .matrix
            .get()
            .to_device(&Device::Cpu)?
            .to_dtype(DType::F32)?
            .flatten_all()?
            .to_vec1::<f32>()?;
        let mut log_dets =
            self.log_det.get().to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec1::<f32>()?;
        let mut whitened = Vec::with_capacity(classes.len());
        for (class, own) in classes.iter().enumerate() {
            let Some(found) = Whitening::fit(own, dim, LEAST_DEVIATION)? else {
                whitened.push(Vec::new());
                continue;
            };
            let of = |v: &[f64]| v.iter().map(|v| *v as f32).collect::<Vec<f32>>();
            let matrix: Vec<f32> = of(&found.matrix);
            let x = Tensor::from_slice(own, (own.len() / dim, dim), &Device::Cpu)?;
            let x = x.broadcast_sub(&Tensor::from_vec(of(&found.mean), (1, dim), &Device::Cpu)?)?;
            let u = x.matmul(&Tensor::from_slice(&matrix, (dim, dim), &Device::Cpu)?)?;
            whitened.push(u.flatten_all()?.to_vec1()?);
            matrices[class * dim * dim..(class + 1) * dim * dim].copy_from_slice(&matrix);
            log_dets[class] = found.log_det as f32;
        }
        let shape = (classes.len(), dim, dim);
        self.matrix.set(&Tensor::from_vec(matrices, shape, &Device::Cpu)?)?;
        self.log_det.set(&Tensor::from_vec(log_dets, classes.len(), &Device::Cpu)?)?;
        Ok(whitened)
    }

    /// `-½ |(z - mu_k) A_k / σ_k|² - sum ln σ_k + ln |A_k|` for every class, (B, P, C): `z` (B, P, D),
    /// `mu` and `log_std` (C, D). One product; its result, (B, P, C D), is the largest thing made.
    pub(crate) fn logits(&self, z: &Tensor, mu: &Tensor, log_std: &Tensor) -> Result<Tensor> {
        let (b, p, d) = z.dims3()?;
        let classes = mu.dim(0)?;
        let matrix = self.matrix.get();
        let inverse = log_std.neg()?.exp()?.unsqueeze(1)?;
        let scaled = matrix.broadcast_mul(&inverse)?;
        let center = mu.unsqueeze(1)?.matmul(&scaled)?.reshape((1, classes * d))?;
        let side_by_side = scaled.transpose(0, 1)?.contiguous()?.reshape((d, classes * d))?;
        let u = z.reshape((b * p, d))?.matmul(&side_by_side)?.broadcast_sub(&center)?;
        let square = u.sqr()?.reshape((b * p, classes, d))?.sum(D::Minus1)?;
        let constant = (self.log_det.get() - log_std.sum(D::Minus1)?)?;
        (square * -0.5)?.broadcast_add(&constant.unsqueeze(0)?)?.reshape((b, p, classes))
    }

    /// `z` (B, P, D) of images of `classes` (B), whitened around `mu` (B, 1, D), and the logarithms of
    /// the determinants (B, 1).
    pub(crate) fn of_class(
        &self,
        z: &Tensor,
        mu: &Tensor,
        classes: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let matrix = self.matrix.get().index_select(classes, 0)?;
        let u = z.broadcast_sub(mu)?.contiguous()?.matmul(&matrix)?;
        Ok((u, self.log_det.get().index_select(classes, 0)?.unsqueeze(1)?))
    }
}
