//! Monotone rational-quadratic splines, one a number.

use crate::isa::{Isa, dispatch};
use crate::math::exp;
use crate::storage::{contiguous, is_fused, with_slices};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Numbers that a task takes.
const TILE: usize = 512;
/// Most bins, which are kept on the stack.
const MOST_BINS: usize = 256;

/// What all splines of an operation have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SplineShape {
    /// Bins K of the interval, 2 to 256.
    pub bins: usize,
    /// The interval is `[-bound, bound]`; outside a spline is the identity.
    pub bound: f32,
    /// Least width and height of a bin, as shares of the interval, and least slope at a knot.
    pub least: f32,
    /// What raw widths and heights are divided by.
    pub damping: f32,
}

impl SplineShape {
    /// Whether `x` is in the interval; a NaN is outside, and stays one.
    #[inline(always)]
    fn has(&self, x: f32) -> bool {
        x.abs() <= self.bound
    }
}

/// `x` (M) through a spline each: values and logarithms of slopes, (M, 2). `raw` (M, 3K - 1) has K
/// widths and K heights before a softmax, and K - 1 slopes at inner knots before a softplus (Durkan
/// et al., NeurIPS 2019, section 3.1). For `f32` on the CPU; gradients for both.
///
/// # Errors
/// Shapes that do not belong together, another type or device.
pub fn spline(x: &Tensor, raw: &Tensor, shape: &SplineShape) -> Result<Tensor> {
    let (m, (rows, width)) = (x.dims1()?, raw.dims2()?);
    if rows != m || width + 1 != 3 * shape.bins || !(2..=MOST_BINS).contains(&shape.bins) {
        bail!("spline: {m} numbers and raw {rows}x{width} of {} bins", shape.bins)
    }
    if !is_fused(x) {
        bail!("spline: expects f32 on the CPU, got {:?} on {:?}", x.dtype(), x.device())
    }
    x.contiguous()?.apply_op2(&raw.contiguous()?, Op(*shape))
}

struct Op(SplineShape);

impl CustomOp2 for Op {
    fn name(&self) -> &'static str {
        "spline"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        lx: &Layout,
        raw: &CpuStorage,
        lr: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = contiguous(self.name(), x, lx)?;
        let raw = contiguous(self.name(), raw, lr)?;
        let width = 3 * self.0.bins - 1;
        let mut out = vec![0.0; 2 * x.len()];
        out.par_chunks_mut(2 * TILE).enumerate().for_each(|(tile, out)| {
            let (first, n) = (tile * TILE, out.len() / 2);
            values(out, &x[first..][..n], &raw[first * width..][..n * width], &self.0);
        });
        Ok((CpuStorage::F32(out), (x.len(), 2).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        raw: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let width = 3 * self.0.bins - 1;
        let all = [x.contiguous()?, raw.contiguous()?, grad.contiguous()?];
        let (dx, draw) = with_slices(&all, |s| {
            let (mut dx, mut draw) = (vec![0.0; s[0].len()], vec![0.0; s[1].len()]);
            let tiles = dx.par_chunks_mut(TILE).zip(draw.par_chunks_mut(TILE * width));
            tiles.enumerate().for_each(|(tile, (dx, draw))| {
                let (first, n) = (tile * TILE, dx.len());
                let (x, grad) = (&s[0][first..][..n], &s[2][2 * first..][..2 * n]);
                gradients(dx, draw, x, &s[1][first * width..][..n * width], grad, &self.0);
            });
            (dx, draw)
        })?;
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        Ok((Some(dx), Some(Tensor::from_vec(draw, raw.shape(), raw.device())?)))
    }
}

/// Shares of the interval that a spline's bins take, and the knots of one of them.
struct Lengths {
    share: [f32; MOST_BINS],
}

impl Lengths {
    /// The softmax of raw lengths.
    #[inline(always)]
    fn new<I: Isa>(raw: &[f32], shape: &SplineShape) -> Self {
        let mut share = [0.0; MOST_BINS];
        let inverse = 1.0 / shape.damping;
        let greatest = raw.iter().fold(f32::NEG_INFINITY, |m, r| if *r > m { *r } else { m });
        let of = &mut share[..raw.len()];
        of.iter_mut().zip(raw).for_each(|(e, r)| *e = exp::<I>((r - greatest) * inverse));
        let total = 1.0 / of.iter().sum::<f32>();
        of.iter_mut().for_each(|e| *e *= total);
        Self { share }
    }

    /// Length of bin `i` as a share.
    #[inline(always)]
    fn length(&self, i: usize, shape: &SplineShape) -> f32 {
        shape.least + (1.0 - shape.least * shape.bins as f32) * self.share[i]
    }

    /// The knot that follows lengths of the sum `before`, of bins up to the `i`-th.
    #[inline(always)]
    fn knot(before: f32, i: usize, shape: &SplineShape) -> f32 {
        match i {
            0 => -shape.bound,
            _ if i == shape.bins => shape.bound,
            _ => 2.0 * shape.bound * before - shape.bound,
        }
    }

    /// The two knots of bin `k`.
    #[inline(always)]
    fn knots(&self, k: usize, shape: &SplineShape) -> (f32, f32) {
        let before = (0..k).map(|i| self.length(i, shape)).sum::<f32>();
        let after = before + self.length(k, shape);
        (Self::knot(before, k, shape), Self::knot(after, k + 1, shape))
    }

    /// The bin of `x`: how many inner knots it has passed.
    #[inline(always)]
    fn bin(&self, x: f32, shape: &SplineShape) -> usize {
        let mut sum = 0.0;
        for k in 0..shape.bins - 1 {
            sum += self.length(k, shape);
            if x < Self::knot(sum, k + 1, shape) {
                return k;
            }
        }
        shape.bins - 1
    }

    /// Adds to `d` the gradient of raw lengths, from those of the knots of bin `k`.
    #[inline(always)]
    fn back(&self, d: &mut [f32], k: usize, dknots: (f32, f32), shape: &SplineShape) {
        let bins = shape.bins;
        let slope = 2.0 * shape.bound * (1.0 - shape.least * bins as f32);
        // The ends of the interval do not move.
        let low = if k > 0 { dknots.0 * slope } else { 0.0 };
        let high = if k + 1 < bins { dknots.1 * slope } else { 0.0 };
        let of_share = |i: usize| {
            if i < k {
                low + high
            } else if i == k {
                high
            } else {
                0.0
            }
        };
        let mean = (0..=k).map(|i| of_share(i) * self.share[i]).sum::<f32>();
        for (i, d) in d.iter_mut().enumerate() {
            *d += self.share[i] * (of_share(i) - mean) / shape.damping;
        }
    }
}

/// One number in its bin.
struct Place {
    widths: Lengths,
    heights: Lengths,
    bin: usize,
    /// From 0 to 1 across the bin.
    at: f32,
    width: f32,
    bottom: f32,
    height: f32,
    /// Slopes at the two knots.
    slopes: (f32, f32),
}

impl Place {
    #[inline(always)]
    fn new<I: Isa>(x: f32, raw: &[f32], shape: &SplineShape) -> Self {
        let k = shape.bins;
        let widths = Lengths::new::<I>(&raw[..k], shape);
        let heights = Lengths::new::<I>(&raw[k..2 * k], shape);
        let bin = widths.bin(x, shape);
        let (left, right) = widths.knots(bin, shape);
        let (bottom, top) = heights.knots(bin, shape);
        let slope = |knot: usize| match knot {
            0 => 1.0,
            _ if knot == k => 1.0,
            _ => shape.least + softplus(raw[2 * k + knot - 1]),
        };
        let (width, height) = (right - left, top - bottom);
        let slopes = (slope(bin), slope(bin + 1));
        Self { widths, heights, bin, at: (x - left) / width, width, bottom, height, slopes }
    }

    /// The terms of value and slope: t(1-t), mean slope, what the slopes at the knots exceed it by,
    /// numerator and denominator of the value, numerator of the slope (eq. 4 and 5 of the paper).
    #[inline(always)]
    fn terms(&self) -> [f32; 6] {
        let (t, (s0, s1)) = (self.at, self.slopes);
        let between = t * (1.0 - t);
        let mean = self.height / self.width;
        let bend = s0 + s1 - 2.0 * mean;
        let above = mean * t * t + s0 * between;
        let below = mean + bend * between;
        let slope = s1 * t * t + 2.0 * mean * between + s0 * (1.0 - t) * (1.0 - t);
        [between, mean, bend, above, below, slope]
    }
}

fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

dispatch!(fn values(out: &mut [f32], x: &[f32], raw: &[f32], shape: &SplineShape) = values_body);
#[inline(always)]
fn values_body<I: Isa>(out: &mut [f32], x: &[f32], raw: &[f32], shape: &SplineShape) {
    let rows = x.iter().zip(raw.chunks_exact(3 * shape.bins - 1));
    for (out, (x, raw)) in out.chunks_exact_mut(2).zip(rows) {
        if shape.has(*x) {
            let place = Place::new::<I>(*x, raw, shape);
            let [_, mean, _, above, below, slope] = place.terms();
            out[0] = place.bottom + place.height * (above / below);
            out[1] = (mean * mean * slope).ln() - 2.0 * below.ln();
        } else {
            out.copy_from_slice(&[*x, 0.0]);
        }
    }
}

dispatch!(fn gradients(dx: &mut [f32], draw: &mut [f32], x: &[f32], raw: &[f32], grad: &[f32], shape: &SplineShape) = gradients_body);
#[inline(always)]
fn gradients_body<I: Isa>(
    dx: &mut [f32],
    draw: &mut [f32],
    x: &[f32],
    raw: &[f32],
    grad: &[f32],
    shape: &SplineShape,
) {
    let (k, width) = (shape.bins, 3 * shape.bins - 1);
    let rows = x.iter().zip(raw.chunks_exact(width)).zip(grad.chunks_exact(2));
    let out = dx.iter_mut().zip(draw.chunks_exact_mut(width));
    for ((dx, draw), ((x, raw), grad)) in out.zip(rows) {
        let (dy, dlog) = (grad[0], grad[1]);
        if !shape.has(*x) {
            *dx = dy;
            continue;
        }
        let place = Place::new::<I>(*x, raw, shape);
        let [between, mean, bend, above, below, slope] = place.terms();
        let (t, (s0, s1)) = (place.at, place.slopes);
        let (w, h) = (place.width, place.height);
        // y = bottom + h above / below; log slope = 2 ln mean + ln slope - 2 ln below.
        let dabove = dy * h / below;
        let dbelow = -(dy * h * above / below + 2.0 * dlog) / below;
        let dslope = dlog / slope;
        let dbend = dbelow * between;
        let dbetween = dbelow * bend + dabove * s0 + 2.0 * dslope * mean;
        let dmean =
            2.0 * dlog / mean + dbelow - 2.0 * dbend + dabove * t * t + 2.0 * dslope * between;
        let ds0 = dbend + dabove * between + dslope * (1.0 - t) * (1.0 - t);
        let ds1 = dbend + dslope * t * t;
        let dt = 2.0 * (dabove * mean * t + dslope * (s1 * t - s0 * (1.0 - t)))
            + dbetween * (1.0 - 2.0 * t);
        let dheight = dy * above / below + dmean / w;
        let dwidth = -(dmean * mean + dt * t) / w;
        *dx = dt / w;
        let (dwidths, rest) = draw.split_at_mut(k);
        let (dheights, dslopes) = rest.split_at_mut(k);
        // left and bottom are the first knots; width and height are differences of two.
        place.widths.back(dwidths, place.bin, (-dt / w - dwidth, dwidth), shape);
        place.heights.back(dheights, place.bin, (dy - dheight, dheight), shape);
        let sigmoid = |raw: f32| 1.0 / (1.0 + (-raw).exp());
        if place.bin > 0 {
            let i = place.bin - 1;
            dslopes[i] += ds0 * sigmoid(raw[2 * k + i]);
        }
        if place.bin + 1 < k {
            let i = place.bin;
            dslopes[i] += ds1 * sigmoid(raw[2 * k + i]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    const SHAPE: SplineShape = SplineShape { bins: 5, bound: 2.0, least: 1e-3, damping: 1.7 };

    fn setup(n: usize) -> (Tensor, Tensor) {
        let wave = |len: usize, f: f32| (0..len).map(move |i| (i as f32 * f + 0.3).sin() * 2.0);
        let x: Vec<f32> = wave(n, 0.73).map(|v| 1.3 * v).collect();
        let raw: Vec<f32> = wave(n * 14, 1.31).collect();
        let t = |v: Vec<f32>, d: &[usize]| Tensor::from_vec(v, d, &Device::Cpu).unwrap();
        (t(x, &[n]), t(raw, &[n, 14]))
    }

    fn host(t: &Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn it_grows_from_end_to_end_by_the_slope_it_tells() {
        let (_, raw) = setup(1);
        let n = 4001;
        let x: Vec<f32> = (0..n).map(|i| -2.5 + 5.0 * i as f32 / (n - 1) as f32).collect();
        let raw = raw.broadcast_as((n, 14)).unwrap();
        let t = Tensor::from_slice(&x, n, &Device::Cpu).unwrap();
        let out = host(&spline(&t, &raw, &SHAPE).unwrap());
        for i in 1..n {
            let (y0, y1) = (out[2 * i - 2], out[2 * i]);
            assert!(y1 > y0, "falls at {}", x[i]);
            let slope = (y1 - y0) / (x[i] - x[i - 1]);
            let told = 0.5 * (out[2 * i - 1].exp() + out[2 * i + 1].exp());
            // Coarse by the step and by the rounding of a difference.
            assert!((slope - told).abs() < 0.03 * told + 2e-3, "{} {slope} {told}", x[i]);
        }
        for (i, x) in x.iter().enumerate().filter(|(_, x)| x.abs() > 2.0) {
            assert_eq!((out[2 * i], out[2 * i + 1]), (*x, 0.0));
        }
    }

    #[test]
    fn gradients_are_those_of_differences() {
        let n = 700;
        let (x, raw) = setup(n);
        let (x, raw) = (Var::from_tensor(&x).unwrap(), Var::from_tensor(&raw).unwrap());
        let weights: Vec<f32> = (0..2 * n).map(|i| (i as f32 * 0.37).cos()).collect();
        let weights = Tensor::from_vec(weights, (n, 2), &Device::Cpu).unwrap();
        let each = |x: &Tensor, raw: &Tensor| {
            let out = spline(x, raw, &SHAPE).unwrap();
            (out * &weights).unwrap().sum(1).unwrap()
        };
        let grads = each(&x, &raw).sum_all().unwrap().backward().unwrap();
        let (dx, draw) = (host(grads.get(&x).unwrap()), host(grads.get(&raw).unwrap()));
        let h = 4e-3;
        // One raw number of every spline at a time, and x.
        for column in 0..15 {
            let moved = |sign: f32| {
                let (mut x, mut raw) = (host(&x), host(&raw));
                for i in 0..n {
                    match column {
                        14 => x[i] += sign * h,
                        _ => raw[i * 14 + column] += sign * h,
                    }
                }
                let x = Tensor::from_vec(x, n, &Device::Cpu).unwrap();
                host(&each(&x, &Tensor::from_vec(raw, (n, 14), &Device::Cpu).unwrap()))
            };
            let (up, down) = (moved(1.0), moved(-1.0));
            let mut apart = 0;
            for i in 0..n {
                let expected = (up[i] - down[i]) / (2.0 * h);
                let got = if column == 14 { dx[i] } else { draw[i * 14 + column] };
                // A slope has a corner at each knot: there a difference is of both sides.
                apart += usize::from((got - expected).abs() > 0.01 * (1.0 + expected.abs()));
            }
            assert!(apart < n / 50, "column {column}: {apart} of {n}");
        }
    }
}
