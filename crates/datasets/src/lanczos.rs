//! Lanczos resampling of one axis, bit for bit as Pillow's `Image.resize` does it for 8 bits.
//!
//! Pillow multiplies by weights of 22 bits in integers. Such weights are exact in `f32`, and sums of
//! floats vectorise everywhere; where such a sum is so near a rounding boundary that its own rounding
//! may decide, it is made again in integers.

use pulp::{Arch, Simd, WithSimd};

use crate::columns::{Columns, ROWS, turn};

/// Bits of a weight behind the point.
const BITS: u32 = 22;
/// Half the filter's width, in pixels of the coarser grid.
const SUPPORT: f64 = 3.0;
/// Channels of a pixel.
const C: usize = 3;
/// Bytes of a row whose sums down stay in registers.
const WIDE: usize = 64;

/// What each pixel of the result is made of, along one axis.
pub(crate) struct Windows {
    /// Pixels of a window; weights beyond the filter are 0.
    taps: usize,
    /// First pixel of the source, one a pixel of the result.
    starts: Vec<usize>,
    /// In units of `2^-BITS`.
    exact: Vec<i32>,
    weights: Vec<f32>,
    /// How far off a fused sum of floats can be, one a window.
    margins: Vec<f32>,
}

impl Windows {
    /// Pixels `first..first + count` of an axis of `source` pixels resized to `resized`.
    pub(crate) fn new(source: usize, resized: u64, first: u64, count: usize) -> Self {
        let scale = source as f64 / resized as f64;
        let widening = scale.max(1.0);
        let support = SUPPORT * widening;
        let taps = support.ceil() as usize * 2 + 1;
        let (mut starts, mut exact) = (Vec::with_capacity(count), vec![0; count * taps]);
        for (i, exact) in exact.chunks_exact_mut(taps).enumerate() {
            let center = (first as f64 + i as f64 + 0.5) * scale;
            let start = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(source);
            let weight = |x: usize| lanczos((x as f64 - center + 0.5) / widening);
            let values: Vec<f64> = (start..end).map(weight).collect();
            let sum: f64 = values.iter().sum();
            for (exact, value) in exact.iter_mut().zip(&values) {
                *exact = (value / sum * f64::from(1 << BITS)).round() as i32;
            }
            starts.push(start);
        }
        let unit = 1.0 / (1 << BITS) as f32;
        let weights = exact.iter().map(|w| *w as f32 * unit).collect();
        let margins = exact.chunks_exact(taps).map(margin).collect();
        Self { taps, starts, exact, weights, margins }
    }

    /// The pixels of the source that any window sees; some past its end have no weight.
    pub(crate) fn reach(&self) -> std::ops::Range<usize> {
        let first = self.starts.iter().min().copied().unwrap_or(0);
        first..self.starts.iter().max().map_or(0, |last| last + self.taps)
    }

    /// Each of `rows` (rows of `width` pixels of 3 channels) across to one pixel a window.
    pub(crate) fn across(&self, rows: &[u8], width: usize) -> Vec<u8> {
        Arch::new().dispatch(Across(self, rows, width))
    }

    /// `rows` of `line` bytes, from row `first` of the source, down to one row a window.
    pub(crate) fn down(&self, rows: &[u8], line: usize, first: usize) -> Vec<u8> {
        Arch::new().dispatch(Down(self, rows, line, first))
    }

    #[inline(always)]
    fn across_body<S: Simd>(&self, rows: &[u8], width: usize) -> Vec<u8> {
        let (line, length) = (width * C, self.starts.len() * C);
        let first = self.reach().start * C;
        let mut columns = Columns::new(self.taps * C);
        let mut sideways = vec![[0; ROWS]; length.next_multiple_of(ROWS)];
        let mut upright = [[0; ROWS]; ROWS];
        let mut out = vec![0; rows.len() / line * length];
        for (rows, out) in rows.chunks(ROWS * line).zip(out.chunks_mut(ROWS * length)) {
            columns.restart(first);
            for (i, weights) in self.weights.chunks_exact(self.taps).enumerate() {
                let margin = self.margin::<S>(i);
                let start = self.starts[i] * C;
                let pixels = columns.window(rows, line, start).as_chunks::<C>().0;
                // Three variables stay in registers, an array of arrays would not.
                let (mut red, mut green, mut blue) = ([0f32; ROWS], [0f32; ROWS], [0f32; ROWS]);
                for (pixel, weight) in pixels.iter().zip(weights) {
                    for row in 0..ROWS {
                        red[row] = madd::<S>(pixel[0].0[row], *weight, red[row]);
                        green[row] = madd::<S>(pixel[1].0[row], *weight, green[row]);
                        blue[row] = madd::<S>(pixel[2].0[row], *weight, blue[row]);
                    }
                }
                for (c, sums) in [red, green, blue].iter().enumerate() {
                    sideways[i * C + c] = levels(sums, margin, |row| {
                        let from = row * line + start + c;
                        let end = rows.len().min((row + 1) * line);
                        rows.get(from..end).map_or(0, |v| self.exactly(i, v.iter().step_by(C)))
                    });
                }
            }
            for (square, at) in sideways.as_chunks().0.iter().zip((0..length).step_by(ROWS)) {
                turn(square, &mut upright);
                for (line, bytes) in out.chunks_exact_mut(length).zip(&upright) {
                    match line[at..].first_chunk_mut() {
                        Some(whole) => *whole = *bytes,
                        None => line[at..].copy_from_slice(&bytes[..length - at]),
                    }
                }
            }
        }
        out
    }

    #[inline(always)]
    fn down_body<S: Simd>(&self, rows: &[u8], line: usize, first: usize) -> Vec<u8> {
        match line {
            WIDE.. => self.down_by::<S, WIDE>(rows, line, first),
            _ => self.down_by::<S, C>(rows, line, first),
        }
    }

    /// `N` bytes of a row at once, at most those of a line.
    #[inline(always)]
    fn down_by<S: Simd, const N: usize>(&self, rows: &[u8], line: usize, first: usize) -> Vec<u8> {
        let mut out = vec![0; self.starts.len() * line];
        let windows = self.weights.chunks_exact(self.taps).zip(out.chunks_exact_mut(line));
        for (i, (weights, out)) in windows.enumerate() {
            let margin = self.margin::<S>(i);
            let rows = &rows[(self.starts[i] - first) * line..];
            for at in (0..line).step_by(N) {
                // The last ones are those that end with the line.
                let at = at.min(line - N);
                let mut sums = [0f32; N];
                for (t, weight) in weights.iter().enumerate() {
                    // Past the source weights are 0.
                    let Some(bytes) = rows.get(t * line + at..) else { break };
                    let Some(bytes) = bytes.first_chunk::<N>() else { break };
                    for (sum, byte) in sums.iter_mut().zip(bytes) {
                        *sum = madd::<S>(*weight, f32::from(*byte), *sum);
                    }
                }
                let levels = levels(&sums, margin, |column| {
                    self.exactly(i, rows[at + column..].iter().step_by(line))
                });
                out[at..at + N].copy_from_slice(&levels);
            }
        }
        out
    }

    /// How far off sum `i` can be: where products are rounded too, twice as far.
    #[inline(always)]
    fn margin<S: Simd>(&self, i: usize) -> f32 {
        if S::IS_SCALAR { 2.0 * self.margins[i] } else { self.margins[i] }
    }

    /// Window `i` over `values` as Pillow has it: in integers, rounded half up, clipped.
    fn exactly<'a>(&self, i: usize, values: impl Iterator<Item = &'a u8>) -> u8 {
        let weights = &self.exact[i * self.taps..][..self.taps];
        let sum: i64 = values.zip(weights).map(|(v, w)| i64::from(*v) * i64::from(*w)).sum();
        ((sum + (1 << (BITS - 1))) >> BITS).clamp(0, 255) as u8
    }
}

/// A pass, compiled for each instruction set: what is called must be inlined here, so no closure.
struct Across<'a>(&'a Windows, &'a [u8], usize);

impl WithSimd for Across<'_> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Vec<u8> {
        self.0.across_body::<S>(self.1, self.2)
    }
}

/// Likewise.
struct Down<'a>(&'a Windows, &'a [u8], usize, usize);

impl WithSimd for Down<'_> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Vec<u8> {
        self.0.down_body::<S>(self.1, self.2, self.3)
    }
}

/// The most that roundings of a sum with these weights add up to: half of the last bit each, which the
/// sums of positive and of negative terms bound.
fn margin(exact: &[i32]) -> f32 {
    let most = |w: i32| f64::from(w) / f64::from(1 << BITS) * 255.0;
    let (mut above, mut below) = (0.0, 0.0);
    let roundings = exact.iter().filter(|w| **w != 0).map(|w| {
        above += most((*w).max(0));
        below -= most((*w).min(0));
        // A sum on the bound may be rounded past it.
        let bound = f64::max(above, below) * 1.001;
        2f64.powf(bound.log2().ceil()) * f64::from(f32::EPSILON) / 4.0
    });
    roundings.sum::<f64>() as f32 * 1.001
}

/// `a * b + c`, fused where that is an instruction.
#[inline(always)]
fn madd<S: Simd>(a: f32, b: f32, c: f32) -> f32 {
    if S::IS_SCALAR { a * b + c } else { a.mul_add(b, c) }
}

/// The nearest of 0..=255 to each sum, from `exactly` where one is within `margin` of a boundary.
#[inline(always)]
fn levels<const N: usize>(sums: &[f32; N], margin: f32, exactly: impl Fn(usize) -> u8) -> [u8; N] {
    let (mut levels, mut any) = ([0; N], false);
    for (level, sum) in levels.iter_mut().zip(sums) {
        let (nearest, off) = nearest(*sum);
        *level = nearest;
        any |= off > 0.5 - margin;
    }
    if any {
        for (i, level) in levels.iter_mut().enumerate() {
            if nearest(sums[i]).1 > 0.5 - margin {
                *level = exactly(i);
            }
        }
    }
    levels
}

/// The nearest of 0..=255, and how far the sum is from it where it is not clipped.
#[inline(always)]
fn nearest(sum: f32) -> (u8, f32) {
    // Adding 1.5 * 2^23 leaves the nearest whole number in the last bits.
    const WHOLE: f32 = 12_582_912.0;
    let clipped = sum.clamp(0.0, 255.0);
    let whole = clipped + WHOLE;
    (whole.to_bits() as u8, (clipped - (whole - WHOLE)).abs())
}

fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| match x {
        0.0 => 1.0,
        _ => (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI),
    };
    if (-SUPPORT..SUPPORT).contains(&x) { sinc(x) * sinc(x / SUPPORT) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// With what this processor runs and with what lesser ones do.
    fn with_sets(width: usize) -> Vec<(usize, Arch)> {
        let mut sets = vec![Arch::new(), Arch::Scalar];
        #[cfg(target_arch = "x86_64")]
        sets.extend(pulp::x86::V3::try_new().map(Arch::V3));
        sets.into_iter().map(|set| (width, set)).collect()
    }

    proptest! {
        #[test]
        fn floats_round_as_integers_do(
            bytes in prop::collection::vec(any::<u8>(), 36 * 40 * C), resized in 3u64..90,
        ) {
            // 36 rows of 40 pixels, and four of 360.
            for (width, set) in [40, 360].into_iter().flat_map(with_sets) {
                let windows = Windows::new(width, resized, 0, resized as usize);
                let across = set.dispatch(Across(&windows, &bytes, width));
                for (at, v) in across.iter().enumerate() {
                    let (row, i, c) = (at / C / resized as usize, at / C % resized as usize, at % C);
                    let line = &bytes[row * width * C..(row + 1) * width * C];
                    let values = line[windows.starts[i] * C + c..].iter().step_by(C);
                    prop_assert_eq!(*v, windows.exactly(i, values));
                }
                // As many rows as there were columns.
                let line = bytes.len() / width;
                let down = set.dispatch(Down(&windows, &bytes, line, 0));
                for (at, v) in down.iter().enumerate() {
                    let values = bytes[windows.starts[at / line] * line + at % line..].iter();
                    prop_assert_eq!(*v, windows.exactly(at / line, values.step_by(line)));
                }
            }
        }
    }

    #[test]
    fn weights_sum_to_one() {
        for resized in [3, 64, 1000] {
            let windows = Windows::new(100, resized, 1, 2);
            for exact in windows.exact.chunks_exact(windows.taps) {
                let sum: i32 = exact.iter().sum();
                assert!((sum - (1 << BITS)).abs() < windows.taps as i32, "{sum}");
            }
        }
    }
}
