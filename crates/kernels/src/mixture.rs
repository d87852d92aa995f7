//! Log-densities of Gaussians with unit covariance, and of their mixtures.
//!
//! `-½ |z - c|² = z c - ½ |z|² - ½ |c|²`: one matrix product a tile of rows, and nothing of size
//! rows x centres x dimensions. Log-densities leave out the constant `-D/2 ln 2 pi`.

#[cfg(any(feature = "cuda", feature = "metal"))]
use crate::device;
use crate::fill::par_fill;
use crate::isa::{Isa, dispatch};
use crate::matrix::Matrix;
use crate::packed::Packed;
use crate::pool::sum_rows;
use crate::product::{Epilogue, TILE, product, product_once};
use crate::row;
use crate::softmax::{scale_rows, softmax_rows};
use crate::storage::{contiguous, has_kernels, is_fused, with_slices};
use candle_core::{CpuStorage, CustomOp2, CustomOp3, D, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use std::sync::OnceLock;

/// `-½ |z - c_k|²`: `z` (.., D) and `centers` (K, D) to (.., K), gradients for both.
///
/// # Errors
/// Shapes that do not belong together.
pub fn gaussian_logits(z: &Tensor, centers: &Tensor) -> Result<Tensor> {
    let (k, d) = centers.dims2()?;
    if z.dims().last() != Some(&d) || d == 0 || k == 0 {
        bail!(
            "Gaussian logits: z {:?} and centres {:?} do not belong together",
            z.dims(),
            centers.dims()
        )
    }
    // The device's kernel looks at one centre after another; many of them are a product's to make.
    const FEW: usize = 128;
    if is_fused(z) || (k <= FEW && has_kernels(&[z, centers])) {
        return z.contiguous()?.apply_op2(&centers.contiguous()?, GaussianLogits);
    }
    let square = (z.sqr()?.sum_keepdim(D::Minus1)? * 0.5)?;
    let of_centers = (centers.sqr()?.sum(1)? * 0.5)?;
    let flat = z.reshape((z.elem_count() / d, d))?;
    let dot = flat.matmul(&centers.t()?)?.reshape(logits_shape(z.dims(), k))?;
    dot.broadcast_sub(&square)?.broadcast_sub(&of_centers)
}

/// `logsumexp_k(w_k - ½ |z - c_k|²)` for G mixtures of K Gaussians: `z` (G, P, D), `centers`
/// (G, K, D) and `log_weights` (G, K) to (G, P), gradients for all three.
///
/// # Errors
/// Shapes that do not belong together.
pub fn mixture_log_density(z: &Tensor, centers: &Tensor, log_weights: &Tensor) -> Result<Tensor> {
    let ((g, _, d), (of_centers, k, e)) = (z.dims3()?, centers.dims3()?);
    if of_centers != g || e != d || d == 0 || k == 0 || log_weights.dims() != [g, k] {
        bail!(
            "mixture: z {:?}, centres {:?} and weights {:?} do not belong together",
            z.dims(),
            centers.dims(),
            log_weights.dims()
        )
    }
    if is_fused(z) || has_kernels(&[z, centers, log_weights]) {
        let (centers, weights) = (centers.contiguous()?, log_weights.contiguous()?);
        return z.contiguous()?.apply_op3(&centers, &weights, MixtureLogDensity(Form::Distance));
    }
    let dot = z.matmul(&centers.transpose(1, 2)?.contiguous()?)?;
    let bias = (log_weights - (centers.sqr()?.sum(D::Minus1)? * 0.5)?)?;
    let square = (z.sqr()?.sum(D::Minus1)? * 0.5)?;
    dot.broadcast_add(&bias.reshape((g, 1, k))?)?.log_sum_exp(D::Minus1)? - square
}

/// (.., D) to (.., K).
fn logits_shape(z: &[usize], k: usize) -> Shape {
    let rows = &z[..z.len().saturating_sub(1)];
    [rows, &[k]].concat().into()
}

struct GaussianLogits;

#[cfg(any(feature = "cuda", feature = "metal"))]
impl GaussianLogits {
    fn plan(&self, z: &Layout, centers: &Layout) -> Result<(device::Launch, Shape)> {
        let (k, d) = centers.shape().dims2()?;
        let n = z.shape().elem_count() / d;
        Ok((device::gaussian_logits(n, k, d), logits_shape(z.dims(), k)))
    }
}

impl CustomOp2 for GaussianLogits {
    fn name(&self) -> &'static str {
        "gaussian_logits"
    }

    fn cpu_fwd(
        &self,
        z: &CpuStorage,
        lz: &Layout,
        centers: &CpuStorage,
        lc: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (k, d) = lc.shape().dims2()?;
        let n = lz.shape().elem_count() / d;
        let z = contiguous(self.name(), z, lz)?;
        let centers = Centers::new(contiguous(self.name(), centers, lc)?, k, d);
        let out = par_fill(n * k, TILE * k, |tile, blank| {
            let out = blank.zeros();
            let first = tile * TILE * d;
            centers.logits(&z[first..first + out.len() / k * d], out);
            out
        });
        Ok((CpuStorage::F32(out), logits_shape(lz.dims(), k)))
    }

    #[cfg(any(feature = "cuda", feature = "metal"))]
    device::device_forward!(z lz, centers lcenters);

    fn bwd(
        &self,
        z: &Tensor,
        centers: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (k, d) = centers.dims2()?;
        let n = z.elem_count() / d;
        #[cfg(any(feature = "cuda", feature = "metal"))]
        if !z.device().is_cpu() {
            let inputs = [z, centers, grad];
            let [dz, dcenters] =
                device::gaussian_logits_gradient(&device::OfTensors, inputs, (n, k, d))?;
            return Ok((Some(dz.reshape(z.shape())?), Some(dcenters.reshape((k, d))?)));
        }
        let all = [z.contiguous()?, centers.contiguous()?, grad.contiguous()?];
        // A few long parts, since each has centres' gradients of its own.
        let part = n.div_ceil(PARTS).next_multiple_of(TILE).max(TILE);
        let (dz, dcenters) = with_slices(&all, |s| {
            let centers = Centers::new(s[1], k, d);
            let mut dz = s[0].to_vec();
            let mut sums = vec![0.0; n.div_ceil(part) * k * (d + 1)];
            let parts = dz.par_chunks_mut(part * d).zip(s[0].par_chunks(part * d));
            let parts = parts.zip(s[2].par_chunks(part * k));
            parts.zip(sums.par_chunks_mut(k * (d + 1))).for_each(|(((dz, z), shares), sums)| {
                let tiles = dz.chunks_mut(TILE * d).zip(z.chunks(TILE * d));
                for ((dz, z), shares) in tiles.zip(shares.chunks(TILE * k)) {
                    centers.gradient(dz, z, shares, sums);
                }
            });
            (dz, centers.total(&sums).0)
        })?;
        let dz = Tensor::from_vec(dz, z.shape(), z.device())?;
        Ok((Some(dz), Some(Tensor::from_vec(dcenters, (k, d), z.device())?)))
    }
}

/// `logsumexp_k` of the logits of some mixtures.
pub(crate) struct MixtureLogDensity(pub(crate) Form);

#[cfg(any(feature = "cuda", feature = "metal"))]
impl MixtureLogDensity {
    fn plan(&self, z: &Layout, centers: &Layout, _: &Layout) -> Result<(device::Launch, Shape)> {
        let ((g, p, d), (_, k, _)) = (z.shape().dims3()?, centers.shape().dims3()?);
        Ok((device::mixture_log_density(g, p, k, d), (g, p).into()))
    }
}

impl CustomOp3 for MixtureLogDensity {
    fn name(&self) -> &'static str {
        "mixture_log_density"
    }

    fn cpu_fwd(
        &self,
        z: &CpuStorage,
        lz: &Layout,
        centers: &CpuStorage,
        lc: &Layout,
        weights: &CpuStorage,
        lw: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (g, p, d) = lz.shape().dims3()?;
        let (_, k, _) = lc.shape().dims3()?;
        let z = contiguous(self.name(), z, lz)?;
        let groups = Centers::groups(
            self.0,
            contiguous(self.name(), centers, lc)?,
            contiguous(self.name(), weights, lw)?,
            k,
            d,
        );
        let mut out = vec![0.0; g * p];
        tiles(&mut out, p, 1).for_each(|(group, first, out)| {
            let rows = &z[(group * p + first) * d..][..out.len() * d];
            let mut logits = vec![0.0; out.len() * k];
            groups[group].logits(rows, &mut logits);
            softmax_rows(&mut logits, out);
        });
        Ok((CpuStorage::F32(out), (g, p).into()))
    }

    #[cfg(any(feature = "cuda", feature = "metal"))]
    device::device_forward!(z lz, centers lcenters, weights lweights);

    fn bwd(
        &self,
        z: &Tensor,
        centers: &Tensor,
        weights: &Tensor,
        density: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ((g, p, d), (_, k, _)) = (z.dims3()?, centers.dims3()?);
        #[cfg(any(feature = "cuda", feature = "metal"))]
        if !z.device().is_cpu() {
            let inputs = [z, centers, weights, density, grad];
            let [dz, dcenters, dweights] =
                device::mixture_gradient(&device::OfTensors, inputs, (g, p, k, d))?;
            let (dz, dcenters) = (dz.reshape((g, p, d))?, dcenters.reshape((g, k, d))?);
            return Ok((Some(dz), Some(dcenters), Some(dweights.reshape((g, k))?)));
        }
        let _ = density;
        let all =
            [z.contiguous()?, centers.contiguous()?, weights.contiguous()?, grad.contiguous()?];
        let (dz, dcenters, dweights) = with_slices(&all, |s| {
            let groups = Centers::groups(self.0, s[1], s[2], k, d);
            let mut dz = s[0].to_vec();
            let mut sums = vec![0.0; g * p.div_ceil(TILE) * k * (d + 1)];
            let parts = tiles(&mut dz, p, d).zip(sums.par_chunks_mut(k * (d + 1)));
            parts.for_each(|((group, first, dz), sums)| {
                let rows = dz.len() / d;
                let at = group * p + first;
                let z = &s[0][at * d..][..rows * d];
                let mut shares = vec![0.0; rows * k];
                groups[group].logits(z, &mut shares);
                softmax_rows(&mut shares, &mut vec![0.0; rows]);
                scale_rows(&mut shares, &s[3][at..at + rows]);
                groups[group].gradient(dz, z, &shares, sums);
            });
            let (mut dcenters, mut dweights) = (Vec::new(), Vec::new());
            let of_group = p.div_ceil(TILE) * k * (d + 1);
            for (i, group) in groups.iter().enumerate() {
                let (of_centers, of_weights) = group.total(&sums[i * of_group..][..of_group]);
                dcenters.extend(of_centers);
                dweights.extend(of_weights);
            }
            (dz, dcenters, dweights)
        })?;
        let dev = z.device();
        Ok((
            Some(Tensor::from_vec(dz, (g, p, d), dev)?),
            Some(Tensor::from_vec(dcenters, (g, k, d), dev)?),
            Some(Tensor::from_vec(dweights, (g, k), dev)?),
        ))
    }
}

/// Parts of the rows that sum up gradients of the centres side by side.
const PARTS: usize = 16;

/// Tiles of rows of `width` that lie within groups of `p` rows: group, first row in it, and the rows.
fn tiles(
    x: &mut [f32],
    p: usize,
    width: usize,
) -> impl IndexedParallelIterator<Item = (usize, usize, &mut [f32])> {
    let tiles: Vec<_> = x
        .chunks_mut((p * width).max(1))
        .enumerate()
        .flat_map(|(group, x)| {
            let tiles = x.chunks_mut(TILE * width).enumerate();
            tiles.map(move |(tile, x)| (group, tile * TILE, x))
        })
        .collect();
    tiles.into_par_iter()
}

/// What the logits of a mixture are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `w_k - ½ |z - c_k|²`.
    Distance,
    /// `w_k + z c_k`; on the CPU alone.
    Affine,
}

/// The Gaussians of one mixture.
pub(crate) struct Centers<'a> {
    centers: &'a [f32],
    /// (D, K)
    transposed: Packed,
    /// (K, D), which only gradients need.
    rows: OnceLock<Packed>,
    /// `w_k - ½ |c_k|²`, or `w_k`.
    bias: Vec<f32>,
    form: Form,
    k: usize,
    d: usize,
}

impl<'a> Centers<'a> {
    /// Without weights.
    pub(crate) fn new(centers: &'a [f32], k: usize, d: usize) -> Self {
        Self::weighted(Form::Distance, centers, &vec![0.0; k], d)
    }

    fn weighted(form: Form, centers: &'a [f32], weights: &[f32], d: usize) -> Self {
        let k = weights.len();
        let mut bias = vec![0.0; k];
        if form == Form::Distance {
            half_squares(centers, &mut bias);
        }
        bias.iter_mut().zip(weights).for_each(|(b, w)| *b = w - *b);
        let transposed = Packed::new(Matrix::rows(centers, k, d, d).transposed());
        Self { centers, transposed, rows: OnceLock::new(), bias, form, k, d }
    }

    fn groups(form: Form, centers: &'a [f32], weights: &[f32], k: usize, d: usize) -> Vec<Self> {
        let groups = centers.chunks_exact(k * d).zip(weights.chunks_exact(k));
        groups.map(|(c, w)| Self::weighted(form, c, w, d)).collect()
    }

    fn matrix(&self) -> Matrix<'_> {
        Matrix::rows(self.centers, self.k, self.d, self.d)
    }

    /// The logits of rows of `z`, in `out` (rows, K).
    pub(crate) fn logits(&self, z: &[f32], out: &mut [f32]) {
        let rows = out.len() / self.k;
        let matrix = Matrix::rows(z, rows, self.d, self.d);
        let then = Epilogue { bias: Some(&self.bias), ..Epilogue::NONE };
        product(out, self.k, matrix, &self.transposed, &then);
        if self.form == Form::Distance {
            let mut squares = vec![0.0; rows];
            half_squares(z, &mut squares);
            retreat(out, &squares);
        }
    }

    /// `dz` holds the rows of `z` and becomes `sum_k s_k (c_k - z)`, or `sum_k s_k c_k`, for the gradients
    /// `shares` (rows, K) of the logits. `sums` adds up what [`Centers::total`] needs: `shares^T z`
    /// (K, D), then the sums of the shares (K).
    fn gradient(&self, dz: &mut [f32], z: &[f32], shares: &[f32], sums: &mut [f32]) {
        let (k, d) = (self.k, self.d);
        let rows = dz.len() / d;
        match self.form {
            Form::Distance => retract(dz, shares, d),
            Form::Affine => dz.fill(0.0),
        }
        let of_rows = Matrix::rows(shares, rows, k, k);
        let centers = self.rows.get_or_init(|| Packed::new(self.matrix()));
        product(dz, d, of_rows, centers, &Epilogue::ACCUMULATE);
        let (of_centers, of_shares) = sums.split_at_mut(k * d);
        let z = Matrix::rows(z, rows, d, d);
        product_once(of_centers, d, of_rows.transposed(), z, &Epilogue::ACCUMULATE);
        sum_rows(shares, of_shares);
    }

    /// Gradients of the centres (K, D), `shares^T z - sum(shares) c` or `shares^T z`, and of the weights (K), from
    /// the sums of some parts, added in their order.
    fn total(&self, parts: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (k, d) = (self.k, self.d);
        let mut of_centers = vec![0.0; k * (d + 1)];
        sum_rows(parts, &mut of_centers);
        let of_shares = of_centers.split_off(k * d);
        if self.form == Form::Affine {
            return (of_centers, of_shares);
        }
        let centers = of_centers.chunks_exact_mut(d).zip(self.centers.chunks_exact(d));
        for ((sum, c), share) in centers.zip(&of_shares) {
            sum.iter_mut().zip(c).for_each(|(sum, c)| *sum -= share * c);
        }
        (of_centers, of_shares)
    }
}

dispatch!(
    /// `½ |x|²` of rows.
    fn half_squares(x: &[f32], out: &mut [f32]) = half_squares_body
);
#[inline(always)]
fn half_squares_body<I: Isa>(x: &[f32], out: &mut [f32]) {
    let d = x.len() / out.len().max(1);
    for (x, out) in x.chunks_exact(d.max(1)).zip(out) {
        *out = 0.5 * row::dot::<I>(x, x);
    }
}

dispatch!(
    /// Takes a number from each row of `out`.
    fn retreat(out: &mut [f32], squares: &[f32]) = retreat_body
);
#[inline(always)]
fn retreat_body<I: Isa>(out: &mut [f32], squares: &[f32]) {
    let k = out.len() / squares.len().max(1);
    for (out, square) in out.chunks_exact_mut(k.max(1)).zip(squares) {
        out.iter_mut().for_each(|o| *o -= square);
    }
}

dispatch!(
    /// Rows of `dz` times minus the sum of their shares.
    fn retract(dz: &mut [f32], shares: &[f32], d: usize) = retract_body
);
#[inline(always)]
fn retract_body<I: Isa>(dz: &mut [f32], shares: &[f32], d: usize) {
    let k = shares.len() / (dz.len() / d).max(1);
    for (dz, shares) in dz.chunks_exact_mut(d).zip(shares.chunks_exact(k.max(1))) {
        let sum = row::sum(shares);
        dz.iter_mut().for_each(|z| *z *= -sum);
    }
}
