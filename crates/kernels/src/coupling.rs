//! The affine coupling of the flow with its global affine map, and its log-determinant.

#[cfg(any(feature = "cuda", feature = "metal"))]
use crate::device;
use crate::fill::par_fill;
use crate::isa::{Isa, dispatch};
use crate::math::{exp, tanh};
use crate::pool::sum_rows;
use crate::product::TILE;
use crate::row;
use crate::storage::{contiguous, has_kernels, is_fused, with_slice};
use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

// The subnet's output is damped by 0.1 before it is used (FrEIA's AllInOneBlock).
const DAMPING: f32 = 0.1;

/// `y = [x1, x2 * exp(s) + t] * g + o` with `[s, t]` from the subnet's output `a`:
/// `s = clamp * tanh(0.1 a_s)`, `t = 0.1 a_t`; gradients for `x`, `a` and `affine`.
///
/// `x` (N, D), its first D - H entries x1 and the last H x2; `a` (N, 2H); `affine` (2, D), rows
/// `g` and `o`. HGAD's block, steps 2 to 4 (Yao et al., ECCV 2024; FrEIA 0.2's clamping, which
/// does not divide by `clamp` inside the tanh).
///
/// # Errors
/// Shapes that do not belong together.
pub fn affine_coupling(x: &Tensor, a: &Tensor, affine: &Tensor, clamp: f64) -> Result<Tensor> {
    let ((n, d), (m, h2)) = (x.dims2()?, a.dims2()?);
    if n != m || h2 % 2 != 0 || h2 / 2 > d || affine.dims() != [2, d] {
        bail!(
            "affine coupling: x {n}x{d}, subnet's output {m}x{h2} and affine {:?} do not belong together",
            affine.dims()
        )
    }
    if is_fused(x) || has_kernels(&[x, a, affine]) {
        let op = AffineCoupling { clamp: clamp as f32 };
        return x.contiguous()?.apply_op3(&a.contiguous()?, &affine.contiguous()?, op);
    }
    let h = h2 / 2;
    let s = (a.narrow(1, 0, h)?.affine(0.1, 0.0)?.tanh()? * clamp)?;
    let t = a.narrow(1, h, h)?.affine(0.1, 0.0)?;
    let x2 = ((x.narrow(1, d - h, h)? * s.exp()?)? + t)?;
    let y = Tensor::cat(&[&x.narrow(1, 0, d - h)?, &x2], 1)?;
    y.broadcast_mul(&affine.narrow(0, 0, 1)?)?.broadcast_add(&affine.narrow(0, 1, 1)?)
}

/// `sum(s)` of each row, the log-determinant of the coupling: `a` (N, 2H) to (N).
///
/// # Errors
/// An odd number of columns.
pub fn coupling_log_det(a: &Tensor, clamp: f64) -> Result<Tensor> {
    let (_, h2) = a.dims2()?;
    if h2 % 2 != 0 {
        bail!("affine coupling: the subnet's output has {h2} columns, which is odd")
    }
    if is_fused(a) || has_kernels(&[a]) {
        return a.contiguous()?.apply_op1(CouplingLogDet { clamp: clamp as f32 });
    }
    (a.narrow(1, 0, h2 / 2)?.affine(0.1, 0.0)?.tanh()?.sum(1)? * clamp)?.contiguous()
}

struct AffineCoupling {
    clamp: f32,
}

#[cfg(any(feature = "cuda", feature = "metal"))]
impl AffineCoupling {
    fn plan(&self, x: &Layout, a: &Layout, _: &Layout) -> Result<(device::Launch, Shape)> {
        let ((n, d), (_, h2)) = (x.shape().dims2()?, a.shape().dims2()?);
        Ok((device::affine_coupling(n, d, h2 / 2, self.clamp), x.shape().clone()))
    }
}

impl CustomOp3 for AffineCoupling {
    fn name(&self) -> &'static str {
        "affine_coupling"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        a: &CpuStorage,
        la: &Layout,
        affine: &CpuStorage,
        laf: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (n, d) = lx.shape().dims2()?;
        let (_, h2) = la.shape().dims2()?;
        let x = contiguous("affine coupling", x, lx)?;
        let a = contiguous("affine coupling", a, la)?;
        let affine = contiguous("affine coupling", affine, laf)?;
        let y = par_fill(n * d, TILE * d, |tile, blank| {
            let (first, y) = (tile * TILE, blank.zeros());
            let rows = y.len() / d;
            let x = &x[first * d..][..rows * d];
            let mut a = a[first * h2..][..rows * h2].to_vec();
            let (log_det, size) = (&mut vec![0.0; rows], (d, h2 / 2));
            couple_rows(y, log_det, x, &mut a, affine, size, self.clamp);
            y
        });
        Ok((CpuStorage::F32(y), (n, d).into()))
    }

    #[cfg(any(feature = "cuda", feature = "metal"))]
    device::device_forward!(x lx, a la, affine laffine);

    fn bwd(
        &self,
        x: &Tensor,
        a: &Tensor,
        affine: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ((n, d), (_, h2)) = (x.dims2()?, a.dims2()?);
        #[cfg(any(feature = "cuda", feature = "metal"))]
        if !x.device().is_cpu() {
            let size = (n, d, h2 / 2);
            let inputs = [x, a, affine, grad];
            let [dx, da, sums] =
                device::affine_coupling_gradient(&device::OfTensors, inputs, size, self.clamp)?;
            let da = da.reshape((n, h2))?;
            return Ok((Some(dx.reshape((n, d))?), Some(da), Some(sums.reshape((2, d))?)));
        }
        let op = "gradient of the affine coupling";
        let tiles = n.div_ceil(TILE);
        let (dx, da, daffine) = with_slice(op, x, |x| {
            with_slice(op, a, |a| {
                with_slice(op, affine, |f| {
                    with_slice(op, grad, |g| {
                        let mut sums = vec![0.0f32; tiles * 2 * d];
                        // The subnet's output becomes its own gradient.
                        let (mut dx, mut da) = (vec![0.0; n * d], a.to_vec());
                        dx.par_chunks_mut(TILE * d)
                            .zip(da.par_chunks_mut(TILE * h2))
                            .zip(sums.par_chunks_mut(2 * d))
                            .zip(x.par_chunks(TILE * d).zip(g.par_chunks(TILE * d)))
                            .for_each(|(((dx, da), sums), (x, g))| {
                                bound_rows(da, h2);
                                gradient_rows(dx, x, da, sums, g, None, f, (d, h2 / 2), self.clamp)
                            });
                        let mut total = vec![0.0; 2 * d];
                        sum_rows(&sums, &mut total);
                        Ok((dx, da, total))
                    })
                })
            })
        })?;
        let dev = x.device();
        Ok((
            Some(Tensor::from_vec(dx, (n, d), dev)?),
            Some(Tensor::from_vec(da, (n, h2), dev)?),
            Some(Tensor::from_vec(daffine, (2, d), dev)?),
        ))
    }
}

dispatch!(
    /// Rows of [`affine_coupling`]: `y` from `x`. `a_s` becomes `tanh(0.1 a_s)`, which the gradient
    /// needs, and `sum(s)` of each row is added to `log_det`.
    pub(crate) fn couple_rows(
        y: &mut [f32],
        log_det: &mut [f32],
        x: &[f32],
        a: &mut [f32],
        affine: &[f32],
        size: (usize, usize),
        clamp: f32,
    ) = couple_rows_body
);
#[inline(always)]
fn couple_rows_body<I: Isa>(
    y: &mut [f32],
    log_det: &mut [f32],
    x: &[f32],
    a: &mut [f32],
    affine: &[f32],
    (d, h): (usize, usize),
    clamp: f32,
) {
    let (gain, offset) = affine.split_at(d);
    let (gain1, gain2) = gain.split_at(d - h);
    let (offset1, offset2) = offset.split_at(d - h);
    let rows = y.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(a.chunks_exact_mut(2 * h));
    for (((y, x), a), log_det) in rows.zip(log_det) {
        let (y1, y2) = y.split_at_mut(d - h);
        let (x1, x2) = x.split_at(d - h);
        for (((y, x), g), o) in y1.iter_mut().zip(x1).zip(gain1).zip(offset1) {
            *y = I::madd(*x, *g, *o);
        }
        let (s, t) = a.split_at_mut(h);
        // A loop of its own, else the compiler does not vectorise it.
        bound::<I>(s);
        let half = y2.iter_mut().zip(x2).zip(s.iter()).zip(t).zip(gain2).zip(offset2);
        for (((((y, x), s), t), g), o) in half {
            let u = I::madd(*x, exp::<I>(clamp * *s), DAMPING * *t);
            *y = I::madd(u, *g, *o);
        }
        *log_det += clamp * row::sum(s);
    }
}

dispatch!(
    /// `a_s` becomes `tanh(0.1 a_s)`.
    fn bound_rows(a: &mut [f32], h2: usize) = bound_rows_body
);
#[inline(always)]
fn bound_rows_body<I: Isa>(a: &mut [f32], h2: usize) {
    a.chunks_exact_mut(h2).for_each(|a| bound::<I>(&mut a[..h2 / 2]));
}

#[inline(always)]
fn bound<I: Isa>(s: &mut [f32]) {
    s.iter_mut().for_each(|s| *s = tanh::<I>(DAMPING * *s));
}

dispatch!(
    /// `dx` gets the gradient of `x`; `a`, which holds `tanh(0.1 a_s)` and `a_t`, becomes its own;
    /// `sums` (2, D) gets the affine map's. `log_det` holds the gradient of the rows'
    /// log-determinants, where they have one.
    pub(crate) fn gradient_rows(
        dx: &mut [f32],
        x: &[f32],
        a: &mut [f32],
        sums: &mut [f32],
        grad: &[f32],
        log_det: Option<&[f32]>,
        affine: &[f32],
        size: (usize, usize),
        clamp: f32,
    ) = gradient_rows_body
);
#[inline(always)]
fn gradient_rows_body<I: Isa>(
    dx: &mut [f32],
    x: &[f32],
    a: &mut [f32],
    sums: &mut [f32],
    grad: &[f32],
    log_det: Option<&[f32]>,
    affine: &[f32],
    (d, h): (usize, usize),
    clamp: f32,
) {
    let gain = &affine[..d];
    let (gain1, gain2) = gain.split_at(d - h);
    let (sum_gain, sum_offset) = sums.split_at_mut(d);
    let (sum1, sum2) = sum_gain.split_at_mut(d - h);
    let rows = dx.chunks_exact_mut(d).zip(x.chunks_exact(d)).zip(grad.chunks_exact(d));
    for (i, ((dx, x), grad)) in rows.enumerate() {
        sum_offset.iter_mut().zip(grad).for_each(|(o, g)| *o += g);
        let (dx1, dx2) = dx.split_at_mut(d - h);
        let (x1, x2) = x.split_at(d - h);
        let (grad1, grad2) = grad.split_at(d - h);
        for ((((dx, x), g), sum), gain) in
            dx1.iter_mut().zip(x1).zip(grad1).zip(sum1.iter_mut()).zip(gain1)
        {
            *sum = I::madd(*g, *x, *sum);
            *dx = g * gain;
        }
        let dlog = log_det.map_or(0.0, |l| l[i]);
        let (s, t) = a[i * 2 * h..][..2 * h].split_at_mut(h);
        let half = s.iter_mut().zip(t).zip(dx2).zip(x2).zip(grad2).zip(sum2.iter_mut()).zip(gain2);
        for ((((((s, t), dx), x), g), sum), gain) in half {
            let scale = exp::<I>(clamp * *s);
            let scaled = *x * scale;
            *sum = I::madd(*g, I::madd(DAMPING, *t, scaled), *sum);
            let du = g * gain;
            *t = DAMPING * du;
            *s = DAMPING * clamp * (1.0 - *s * *s) * I::madd(du, scaled, dlog);
            *dx = du * scale;
        }
    }
}

struct CouplingLogDet {
    clamp: f32,
}

#[cfg(any(feature = "cuda", feature = "metal"))]
impl CouplingLogDet {
    fn plan(&self, a: &Layout) -> Result<(device::Launch, Shape)> {
        let (n, h2) = a.shape().dims2()?;
        Ok((device::coupling_log_det(n, h2 / 2, self.clamp), n.into()))
    }
}

impl CustomOp1 for CouplingLogDet {
    fn name(&self) -> &'static str {
        "coupling_log_det"
    }

    fn cpu_fwd(&self, a: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, h2) = layout.shape().dims2()?;
        let a = contiguous("coupling's log-determinant", a, layout)?;
        let out = par_fill(n, TILE, |tile, blank| {
            let out = blank.zeros();
            let mut a = a[tile * TILE * h2..][..out.len() * h2].to_vec();
            bound_rows(&mut a, h2);
            let sums = a.chunks_exact(h2).map(|a| self.clamp * row::sum(&a[..h2 / 2]));
            out.iter_mut().zip(sums).for_each(|(o, sum)| *o = sum);
            out
        });
        Ok((CpuStorage::F32(out), n.into()))
    }

    #[cfg(any(feature = "cuda", feature = "metal"))]
    device::device_forward!(a la);

    fn bwd(&self, a: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (n, h2) = a.dims2()?;
        #[cfg(any(feature = "cuda", feature = "metal"))]
        if !a.device().is_cpu() {
            use device::Machine;
            let launch = device::coupling_log_det_gradient(n, h2 / 2, self.clamp);
            let da = device::OfTensors.launch(&launch, &[a, grad])?;
            return da.first().map(|da| da.reshape((n, h2))).transpose();
        }
        let op = "gradient of the coupling's log-determinant";
        let da = with_slice(op, a, |a| {
            with_slice(op, grad, |g| {
                Ok(par_fill(n * h2, TILE * h2, |tile, blank| {
                    let da = blank.zeros();
                    let first = tile * TILE;
                    log_det_gradient_rows(da, &a[first * h2..], &g[first..], h2, self.clamp);
                    da
                }))
            })
        })?;
        Tensor::from_vec(da, (n, h2), a.device()).map(Some)
    }
}

dispatch!(fn log_det_gradient_rows(da: &mut [f32], a: &[f32], grad: &[f32], h2: usize, clamp: f32) = log_det_gradient_rows_body);
#[inline(always)]
fn log_det_gradient_rows_body<I: Isa>(
    da: &mut [f32],
    a: &[f32],
    grad: &[f32],
    h2: usize,
    clamp: f32,
) {
    for (i, da) in da.chunks_exact_mut(h2).enumerate() {
        let g = grad[i] * clamp * DAMPING;
        for (da, s) in da[..h2 / 2].iter_mut().zip(&a[i * h2..]) {
            let th = tanh::<I>(DAMPING * s);
            *da = g * (1.0 - th * th);
        }
    }
}
