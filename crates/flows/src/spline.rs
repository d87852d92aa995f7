//! Monotone rational-quadratic splines.

use crate::{FlowError, check};
use candle_core::{D, DType, Tensor};
use hgad_kernels::{SplineShape, spline};

/// Least width and height of a bin, as shares of the interval, and least slope at a knot.
const LEAST: f64 = 1e-3;
/// Bins for which the least widths leave something to learn.
const MOST_BINS: usize = 256;

/// A monotone function of `[-B, B]` onto itself, a quotient of two quadratics in each of K bins,
/// and the identity outside (Durkan et al., NeurIPS 2019, section 3.1; Gregory and Delbourgo,
/// 1982). Each number has a spline of its own, given by 3K - 1 raw numbers: K of widths and K of
/// heights, which go through a softmax, and K - 1 of the slopes at inner knots, through a softplus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spline {
    bins: usize,
    bound: f64,
    damping: f64,
}

/// The bin of every number, and where the number lies: each (M, 1).
struct Bin {
    left: Tensor,
    width: Tensor,
    bottom: Tensor,
    height: Tensor,
    /// Slopes at its two knots.
    slopes: [Tensor; 2],
}

impl Spline {
    /// Of `bins` bins over `[-bound, bound]`.
    ///
    /// # Errors
    /// Fewer than 2 bins or more than 256, a bound that is not positive.
    pub fn new(bins: usize, bound: f64) -> Result<Self, FlowError> {
        if !(2..=MOST_BINS).contains(&bins) {
            let why = "expected 2 to 256 bins";
            return Err(FlowError::Setting { key: "bins", value: bins.to_string(), why });
        }
        check::positive("tail_bound", bound)?;
        Ok(Self { bins, bound, damping: 1.0 })
    }

    /// The same with raw widths and heights divided by `damping` before their softmax.
    pub fn damped(self, damping: f64) -> Self {
        Self { damping, ..self }
    }

    /// K.
    pub fn bins(&self) -> usize {
        self.bins
    }

    /// Raw numbers of one spline, 3K - 1.
    pub fn parameters(&self) -> usize {
        3 * self.bins - 1
    }

    /// The raw slope that makes a slope of 1: with it and equal widths and heights the spline is
    /// the identity.
    pub fn identity_slope() -> f64 {
        ((1.0 - LEAST).exp() - 1.0).ln()
    }

    /// `x` (M) through the splines `raw` (M, 3K - 1): values and the logarithms of slopes, (M).
    /// Fused for `f32` on the CPU.
    ///
    /// # Errors
    /// Shapes that do not belong together.
    pub fn forward(&self, x: &Tensor, raw: &Tensor) -> Result<(Tensor, Tensor), FlowError> {
        if x.device().is_cpu() && x.dtype() == DType::F32 {
            let (bound, least) = (self.bound as f32, LEAST as f32);
            let damping = self.damping as f32;
            let out = spline(x, raw, &SplineShape { bins: self.bins, bound, least, damping })?;
            return Ok((out.narrow(1, 0, 1)?.squeeze(1)?, out.narrow(1, 1, 1)?.squeeze(1)?));
        }
        let (inside, x_in, x) = self.inside(x)?;
        let bin = self.bin(&x_in, raw, false)?;
        let at = ((&x_in - &bin.left)? / &bin.width)?;
        let (slope, bend) = bin.slope_and_bend()?;
        let [s0, _] = &bin.slopes;
        let between = (&at * at.affine(-1.0, 1.0)?)?;
        let above = ((&slope * at.sqr()?)? + (s0 * &between)?)?;
        let below = (&slope + (&bend * &between)?)?;
        let y = (&bin.bottom + (&bin.height * (above / &below)?)?)?;
        let log_slope = bin.log_slope(&at, &between, &slope, &below)?;
        self.with_tails(&inside, &x, &y, &log_slope)
    }

    /// Undoes [`Spline::forward`]: `y` (M) to x and the logarithms of the inverse's slopes.
    ///
    /// # Errors
    /// As forward.
    pub fn inverse(&self, y: &Tensor, raw: &Tensor) -> Result<(Tensor, Tensor), FlowError> {
        let (inside, y_in, y) = self.inside(y)?;
        let bin = self.bin(&y_in, raw, true)?;
        let (slope, bend) = bin.slope_and_bend()?;
        let rise = (&y_in - &bin.bottom)?;
        let [s0, _] = &bin.slopes;
        // The root of a quadratic in [0, 1], in the form that loses no digits.
        let a = ((&rise * &bend)? + (&bin.height * (&slope - s0)?)?)?;
        let b = ((&bin.height * s0)? - (&rise * &bend)?)?;
        let c = (&slope * &rise)?.neg()?;
        let root = (b.sqr()? - ((a * &c)? * 4.0)?)?.relu()?.sqrt()?;
        let at = ((c * 2.0)? / (b.neg()? - root)?)?;
        let x = (&bin.left + (&at * &bin.width)?)?;
        let between = (&at * at.affine(-1.0, 1.0)?)?;
        let below = (&slope + (&bend * &between)?)?;
        let log_slope = bin.log_slope(&at, &between, &slope, &below)?.neg()?;
        self.with_tails(&inside, &y, &x, &log_slope)
    }

    /// Whether each number is in the interval, (M, 1); it, or 0 where it is outside; it.
    fn inside(&self, x: &Tensor) -> Result<(Tensor, Tensor, Tensor), FlowError> {
        let x = x.unsqueeze(1)?;
        let inside = x.abs()?.le(self.bound)?;
        let x_in = inside.where_cond(&x, &x.zeros_like()?)?;
        Ok((inside, x_in, x))
    }

    fn with_tails(
        &self,
        inside: &Tensor,
        x: &Tensor,
        y: &Tensor,
        log_slope: &Tensor,
    ) -> Result<(Tensor, Tensor), FlowError> {
        let y = inside.where_cond(y, x)?.squeeze(1)?;
        let log_slope = inside.where_cond(log_slope, &log_slope.zeros_like()?)?.squeeze(1)?;
        Ok((y, log_slope))
    }

    /// The bin of each `x` (M, 1) by its left and right, or by its bottom and top.
    fn bin(&self, x: &Tensor, raw: &Tensor, by_height: bool) -> Result<Bin, FlowError> {
        let k = self.bins;
        let (m, found) = raw.dims2()?;
        if found != self.parameters() || x.dim(0)? != m {
            return Err(FlowError::Input { expected: self.parameters(), found: vec![m, found] });
        }
        let across = self.knots(&raw.narrow(1, 0, k)?)?;
        let up = self.knots(&raw.narrow(1, k, k)?)?;
        let inner = softplus(&raw.narrow(1, 2 * k, k - 1)?)?.affine(1.0, LEAST)?;
        let one = Tensor::ones((m, 1), raw.dtype(), raw.device())?;
        let slopes = Tensor::cat(&[&one, &inner, &one], 1)?;
        let by = if by_height { &up } else { &across };
        let passed = x.detach().broadcast_ge(&by.narrow(1, 1, k - 1)?.detach())?;
        // In bytes the sum would be bytes too.
        let index = passed.to_dtype(DType::F32)?.sum_keepdim(D::Minus1)?.to_dtype(DType::U32)?;
        let next = (&index + index.ones_like()?)?;
        let part = |t: &Tensor, i: &Tensor| t.gather(i, 1);
        let (left, bottom) = (part(&across, &index)?, part(&up, &index)?);
        Ok(Bin {
            width: (part(&across, &next)? - &left)?,
            height: (part(&up, &next)? - &bottom)?,
            slopes: [part(&slopes, &index)?, part(&slopes, &next)?],
            left,
            bottom,
        })
    }

    /// Raw lengths (M, K) to knots (M, K + 1) from -B to B.
    fn knots(&self, raw: &Tensor) -> Result<Tensor, FlowError> {
        let (m, k) = raw.dims2()?;
        let raw = (raw / self.damping)?;
        let e = raw.broadcast_sub(&raw.max_keepdim(1)?.detach())?.exp()?;
        let share = e.broadcast_div(&e.sum_keepdim(1)?)?;
        let length = share.affine(1.0 - LEAST * k as f64, LEAST)?;
        // Column j of the product is the sum of the first j + 1 lengths.
        let sums = Tensor::triu2(k, raw.dtype(), raw.device())?.narrow(1, 0, k - 1)?;
        let inner = length.matmul(&sums.contiguous()?)?.affine(2.0 * self.bound, -self.bound)?;
        let end = (Tensor::ones((m, 1), raw.dtype(), raw.device())? * self.bound)?;
        Ok(Tensor::cat(&[&end.neg()?, &inner, &end], 1)?)
    }
}

impl Bin {
    /// The bin's mean slope, and how much its slopes at the knots exceed it together.
    fn slope_and_bend(&self) -> Result<(Tensor, Tensor), FlowError> {
        let slope = (&self.height / &self.width)?;
        let [s0, s1] = &self.slopes;
        let bend = ((s0 + s1)? - (&slope * 2.0)?)?;
        Ok((slope, bend))
    }

    /// The logarithm of the slope at `at`, from 0 to 1 (eq. 5 of the paper).
    fn log_slope(
        &self,
        at: &Tensor,
        between: &Tensor,
        slope: &Tensor,
        below: &Tensor,
    ) -> Result<Tensor, FlowError> {
        let [s0, s1] = &self.slopes;
        let rest = at.affine(-1.0, 1.0)?.sqr()?;
        let sum = ((s1 * at.sqr()?)? + ((slope * between)? * 2.0)? + (s0 * rest)?)?;
        Ok(((slope.sqr()? * sum)?.log()? - (below.log()? * 2.0)?)?)
    }
}

/// `ln(1 + e^x)` without overflow.
fn softplus(x: &Tensor) -> candle_core::Result<Tensor> {
    x.relu()? + (x.abs()?.neg()?.exp()? + 1.0)?.log()?
}
