//! Reductions of rows of logits: what the losses on class posteriors are made of.
//!
//! With `q = x + bias` and `p = softmax(q)` over the last dimension K, each operation reads the
//! logits once and writes a number a row; its gradient reads them once more.

#[cfg(any(feature = "cuda", feature = "metal"))]
use crate::device;
use crate::fill::par_fill;
use crate::isa::{Isa, dispatch};
use crate::log_softmax::log_softmax;
use crate::math::exp;
use crate::pool::sum_rows;
use crate::product::TILE;
use crate::row;
use crate::storage::{contiguous, has_kernels, is_fused, with_slices};
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, D, Layout, Result, Shape, Tensor, bail,
};
use rayon::prelude::*;
use std::ops::Range;

/// `logsumexp_k(x_k + bias_k)`: `x` (.., K) and `bias` (K) to (..), gradients for both.
///
/// # Errors
/// Shapes that do not belong together.
pub fn log_sum_exp(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
    check_bias("log-sum-exp", x, bias)?;
    if is_fused(x) || has_kernels(&[x, bias]) {
        return x.contiguous()?.apply_op2(&bias.contiguous()?, LogSumExp);
    }
    x.broadcast_add(bias)?.log_sum_exp(D::Minus1)
}

/// Entropy in nats of `p = softmax(x)`, `-sum_k p_k ln p_k`: `x` (.., K) to (..), with a gradient.
///
/// # Errors
/// A tensor without dimensions.
pub fn softmax_entropy(x: &Tensor) -> Result<Tensor> {
    if is_fused(x) || has_kernels(&[x]) {
        return x.contiguous()?.apply_op1(SoftmaxEntropy);
    }
    let log = log_softmax(x)?;
    (log.exp()? * log)?.sum(D::Minus1)?.neg()
}

/// Cross-entropy in nats `-sum_k t_k ln softmax_k(x + bias)`: `x` (G, P, K), `bias` (K) and
/// `target` (G, K), one for the P rows of a group, to (G, P). Gradients for `x` and `bias`; the
/// target is a constant.
///
/// # Errors
/// Shapes that do not belong together.
pub fn cross_entropy(x: &Tensor, bias: &Tensor, target: &Tensor) -> Result<Tensor> {
    check_bias("cross-entropy", x, bias)?;
    let (g, _, k) = x.dims3()?;
    if target.dims() != [g, k] {
        bail!(
            "cross-entropy: logits {:?} and targets {:?} do not belong together",
            x.dims(),
            target.dims()
        )
    }
    let target = target.detach();
    if is_fused(x) || has_kernels(&[x, bias, &target]) {
        let (bias, target) = (bias.contiguous()?, target.contiguous()?);
        return x.contiguous()?.apply_op3(&bias, &target, CrossEntropy);
    }
    let log = log_softmax(&x.broadcast_add(bias)?)?;
    log.broadcast_mul(&target.unsqueeze(1)?)?.sum(D::Minus1)?.neg()
}

fn check_bias(op: &str, x: &Tensor, bias: &Tensor) -> Result<()> {
    match x.dims().last() {
        Some(&k) if k > 0 && bias.dims() == [k] => Ok(()),
        _ => bail!("{op}: logits {:?} and bias {:?} do not belong together", x.dims(), bias.dims()),
    }
}

/// Rows and their width, of a tensor whose last dimension is the classes'.
fn rows_of(op: &str, layout: &Layout) -> Result<(Shape, usize)> {
    match layout.dims().split_last() {
        Some((&k, rest)) if k > 0 => Ok((Shape::from(rest), k)),
        _ => bail!("{op}: logits of shape {:?}", layout.dims()),
    }
}

struct LogSumExp;

#[cfg(any(feature = "cuda", feature = "metal"))]
impl LogSumExp {
    fn plan(&self, x: &Layout, _: &Layout) -> Result<(device::Launch, Shape)> {
        let (shape, k) = rows_of(self.name(), x)?;
        Ok((device::log_sum_exp(shape.elem_count(), k), shape))
    }
}

impl CustomOp2 for LogSumExp {
    fn name(&self) -> &'static str {
        "log_sum_exp"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        bias: &CpuStorage,
        lb: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (shape, k) = rows_of(self.name(), lx)?;
        let x = contiguous(self.name(), x, lx)?;
        let bias = contiguous(self.name(), bias, lb)?;
        let out = reduce(x, k, |q, _, out| {
            add_to_rows(q, bias);
            softmax_rows(q, out);
        });
        Ok((CpuStorage::F32(out), shape))
    }

    #[cfg(any(feature = "cuda", feature = "metal"))]
    device::device_forward!(x lx, bias lbias);

    fn bwd(
        &self,
        x: &Tensor,
        bias: &Tensor,
        out: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let k = bias.elem_count();
        #[cfg(any(feature = "cuda", feature = "metal"))]
        if !x.device().is_cpu() {
            let size = (x.elem_count() / k, k);
            let inputs = [x, bias, out, grad];
            let [dx, dbias] = device::log_sum_exp_gradient(&device::OfTensors, inputs, size)?;
            return Ok((Some(dx.reshape(x.shape())?), Some(dbias.reshape(k)?)));
        }
        let _ = out;
        let all = [x.contiguous()?, bias.contiguous()?, grad.contiguous()?];
        let (dx, dbias) = with_slices(&all, |s| {
            gradient(s[0], k, |q, rows| {
                add_to_rows(q, s[1]);
                softmax_rows(q, &mut vec![0.0; rows.len()]);
                scale_rows(q, &s[2][rows]);
            })
        })?;
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        Ok((Some(dx), Some(Tensor::from_vec(dbias, k, x.device())?)))
    }
}

struct SoftmaxEntropy;

#[cfg(any(feature = "cuda", feature = "metal"))]
impl SoftmaxEntropy {
    fn plan(&self, x: &Layout) -> Result<(device::Launch, Shape)> {
        let (shape, k) = rows_of(self.name(), x)?;
        Ok((device::softmax_entropy(shape.elem_count(), k), shape))
    }
}

impl CustomOp1 for SoftmaxEntropy {
    fn name(&self) -> &'static str {
        "softmax_entropy"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (shape, k) = rows_of(self.name(), layout)?;
        let x = contiguous(self.name(), x, layout)?;
        let out = reduce(x, k, |q, rows, out| {
            softmax_rows(q, out);
            entropy_rows(q, &x[rows.start * k..rows.end * k], out);
        });
        Ok((CpuStorage::F32(out), shape))
    }

    #[cfg(any(feature = "cuda", feature = "metal"))]
    device::device_forward!(x lx);

    fn bwd(&self, x: &Tensor, entropy: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let k = x.dim(D::Minus1)?;
        #[cfg(any(feature = "cuda", feature = "metal"))]
        if !x.device().is_cpu() {
            let launch = device::softmax_entropy_gradient(x.elem_count() / k, k);
            return device::one(&launch, &[x, entropy, grad], x.shape()).map(Some);
        }
        let all = [x.contiguous()?, entropy.contiguous()?, grad.contiguous()?];
        let (dx, _) = with_slices(&all, |s| {
            gradient(s[0], k, |q, rows| {
                let mut shift = vec![0.0; rows.len()];
                softmax_rows(q, &mut shift);
                // ln p + entropy = x - (logsumexp - entropy)
                shift.iter_mut().zip(&s[1][rows.clone()]).for_each(|(l, h)| *l -= h);
                let x = &s[0][rows.start * k..rows.end * k];
                entropy_gradient_rows(q, x, &shift, &s[2][rows]);
            })
        })?;
        Tensor::from_vec(dx, x.shape(), x.device()).map(Some)
    }
}

struct CrossEntropy;

#[cfg(any(feature = "cuda", feature = "metal"))]
impl CrossEntropy {
    fn plan(&self, x: &Layout, _: &Layout, _: &Layout) -> Result<(device::Launch, Shape)> {
        let (g, p, k) = x.shape().dims3()?;
        Ok((device::cross_entropy(g, p, k), (g, p).into()))
    }
}

impl CustomOp3 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        bias: &CpuStorage,
        lb: &Layout,
        target: &CpuStorage,
        lt: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (g, p, k) = lx.shape().dims3()?;
        let x = contiguous(self.name(), x, lx)?;
        let bias = contiguous(self.name(), bias, lb)?;
        let target = contiguous(self.name(), target, lt)?;
        let out = reduce(x, k, |q, rows, out| {
            add_to_rows(q, bias);
            let shifted = q.to_vec();
            softmax_rows(q, out);
            for ((row, q), out) in rows.zip(shifted.chunks_exact(k)).zip(out) {
                *out = surprise(q, &target[row / p * k..][..k], *out);
            }
        });
        Ok((CpuStorage::F32(out), (g, p).into()))
    }

    #[cfg(any(feature = "cuda", feature = "metal"))]
    device::device_forward!(x lx, bias lbias, target ltarget);

    fn bwd(
        &self,
        x: &Tensor,
        bias: &Tensor,
        target: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (g, p, k) = x.dims3()?;
        #[cfg(any(feature = "cuda", feature = "metal"))]
        if !x.device().is_cpu() {
            let inputs = [x, bias, target, grad];
            let [dx, dbias] =
                device::cross_entropy_gradient(&device::OfTensors, inputs, (g, p, k))?;
            return Ok((Some(dx.reshape((g, p, k))?), Some(dbias.reshape(k)?), None));
        }
        let _ = g;
        let all = [x.contiguous()?, bias.contiguous()?, target.contiguous()?, grad.contiguous()?];
        let (dx, dbias) = with_slices(&all, |s| {
            gradient(s[0], k, |q, rows| {
                add_to_rows(q, s[1]);
                softmax_rows(q, &mut vec![0.0; rows.len()]);
                for (row, q) in rows.zip(q.chunks_exact_mut(k)) {
                    away_from_target(q, &s[2][row / p * k..][..k], s[3][row]);
                }
            })
        })?;
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        Ok((Some(dx), Some(Tensor::from_vec(dbias, k, x.device())?), None))
    }
}

/// A number a row of `x` (N, K): `make` gets a copy of a tile of rows, which rows they are, and
/// where their numbers go.
fn reduce(
    x: &[f32],
    k: usize,
    make: impl Fn(&mut [f32], Range<usize>, &mut [f32]) + Sync,
) -> Vec<f32> {
    par_fill(x.len() / k, TILE, |tile, blank| {
        let rows = tile * TILE..tile * TILE + blank.len();
        let mut q = x[rows.start * k..rows.end * k].to_vec();
        let out = blank.zeros();
        make(&mut q, rows, out);
        out
    })
}

/// The gradient of `x` (N, K), which `make` leaves in place of a tile of rows, and its sum over
/// the rows (K).
fn gradient(
    x: &[f32],
    k: usize,
    make: impl Fn(&mut [f32], Range<usize>) + Sync,
) -> (Vec<f32>, Vec<f32>) {
    let mut sums = vec![0.0; (x.len() / k).div_ceil(TILE) * k];
    let mut dx = x.to_vec();
    let tiles = dx.par_chunks_mut(TILE * k).zip(sums.par_chunks_mut(k)).enumerate();
    tiles.for_each(|(tile, (dx, sums))| {
        make(dx, tile * TILE..tile * TILE + dx.len() / k);
        sum_rows(dx, sums);
    });
    // Tiles are added in their order, whatever thread made them.
    let mut total = vec![0.0; k];
    sum_rows(&sums, &mut total);
    (dx, total)
}

// Further than this below the greatest, a share is below 1e-26 and counts as 0: left as it is, a
// product with a small gradient would be a subnormal number, which costs a hundred times as much.
const NEGLIGIBLE: f32 = -60.0;

dispatch!(
    /// Rows of logits become their softmax; `sums` gets their log-sum-exps.
    pub(crate) fn softmax_rows(q: &mut [f32], sums: &mut [f32]) = softmax_rows_body
);
#[inline(always)]
fn softmax_rows_body<I: Isa>(q: &mut [f32], sums: &mut [f32]) {
    if sums.is_empty() {
        return;
    }
    let k = q.len() / sums.len();
    for (q, top) in q.chunks_exact_mut(k).zip(sums.iter_mut()) {
        *top = row::max(q);
        q.iter_mut().for_each(|q| *q -= *top);
    }
    // All rows in one run, so that narrow ones fill the vectors too.
    q.iter_mut().for_each(|q| *q = if *q < NEGLIGIBLE { 0.0 } else { exp::<I>(*q) });
    for (q, top) in q.chunks_exact_mut(k).zip(sums) {
        let sum = row::sum(q);
        let share = 1.0 / sum;
        q.iter_mut().for_each(|q| *q *= share);
        *top += sum.ln();
    }
}

dispatch!(pub(crate) fn add_to_rows(x: &mut [f32], row: &[f32]) = add_to_rows_body);
#[inline(always)]
fn add_to_rows_body<I: Isa>(x: &mut [f32], row: &[f32]) {
    for x in x.chunks_exact_mut(row.len()) {
        x.iter_mut().zip(row).for_each(|(x, r)| *x += r);
    }
}

dispatch!(pub(crate) fn scale_rows(x: &mut [f32], factors: &[f32]) = scale_rows_body);
#[inline(always)]
fn scale_rows_body<I: Isa>(x: &mut [f32], factors: &[f32]) {
    let k = x.len() / factors.len().max(1);
    for (x, factor) in x.chunks_exact_mut(k.max(1)).zip(factors) {
        x.iter_mut().for_each(|x| *x *= factor);
    }
}

dispatch!(
    /// `out` holds log-sum-exps and becomes entropies.
    fn entropy_rows(p: &[f32], x: &[f32], out: &mut [f32]) = entropy_rows_body
);
#[inline(always)]
fn entropy_rows_body<I: Isa>(p: &[f32], x: &[f32], out: &mut [f32]) {
    let k = p.len() / out.len().max(1);
    for ((p, x), out) in p.chunks_exact(k.max(1)).zip(x.chunks_exact(k.max(1))).zip(out) {
        *out = row::surprise::<I>(p, x, *out);
    }
}

dispatch!(
    /// `p` becomes the gradient `-p (x - shift) g` of the entropy.
    fn entropy_gradient_rows(p: &mut [f32], x: &[f32], shift: &[f32], grad: &[f32]) = entropy_gradient_rows_body
);
#[inline(always)]
fn entropy_gradient_rows_body<I: Isa>(p: &mut [f32], x: &[f32], shift: &[f32], grad: &[f32]) {
    let k = p.len() / shift.len().max(1);
    let rows = p.chunks_exact_mut(k.max(1)).zip(x.chunks_exact(k.max(1)));
    for (((p, x), shift), g) in rows.zip(shift).zip(grad) {
        p.iter_mut().zip(x).for_each(|(p, x)| *p *= (shift - x) * g);
    }
}

dispatch!(fn surprise(q: &[f32], target: &[f32], sum: f32) -> f32 = surprise_body);
#[inline(always)]
fn surprise_body<I: Isa>(q: &[f32], target: &[f32], sum: f32) -> f32 {
    row::surprise::<I>(target, q, sum)
}

dispatch!(
    /// `p` becomes the gradient `(p sum(t) - t) g` of the cross-entropy.
    fn away_from_target(p: &mut [f32], target: &[f32], grad: f32) = away_from_target_body
);
#[inline(always)]
fn away_from_target_body<I: Isa>(p: &mut [f32], target: &[f32], grad: f32) {
    let whole = row::sum(target);
    p.iter_mut().zip(target).for_each(|(p, t)| *p = (*p * whole - t) * grad);
}
