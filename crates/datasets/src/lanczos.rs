//! Lanczos resampling of one axis, bit for bit as Pillow's `Image.resize` does it for 8 bits.
//!
//! Pillow multiplies by weights of 22 bits in integers. Such weights are exact in `f32`, and sums of
//! floats vectorise everywhere; where such a sum is so near a rounding boundary that its own rounding
//! may decide, it is made again in integers.

use pulp::{Arch, NullaryFnOnce};

/// Bits of a weight behind the point.
const BITS: u32 = 22;
/// Half the filter's width, in pixels of the coarser grid.
const SUPPORT: f64 = 3.0;
/// Channels of a pixel.
const C: usize = 3;
/// Rows at once.
const ROWS: usize = 8;
/// Of one operation on sums below 512: half of the last bit.
const ROUNDING: f32 = 1.6e-5;

/// What each pixel of the result is made of, along one axis.
pub(crate) struct Windows {
    /// Pixels of a window; weights beyond the filter are 0.
    taps: usize,
    /// First pixel of the source, one a pixel of the result.
    starts: Vec<usize>,
    /// In units of `2^-BITS`.
    exact: Vec<i32>,
    weights: Vec<f32>,
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
        Self { taps, starts, exact, weights }
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
    fn across_body(&self, rows: &[u8], width: usize) -> Vec<u8> {
        let reach = self.reach();
        let (line, length) = (width * C, self.starts.len() * C);
        let margin = self.margin();
        // Zeros past the end, where weights are 0 too.
        let mut bytes = vec![[0; ROWS]; reach.len() * C];
        let mut columns = vec![[0f32; ROWS]; reach.len() * C];
        let mut out = vec![0; rows.len() / line * length];
        for (rows, out) in rows.chunks(ROWS * line).zip(out.chunks_mut(ROWS * length)) {
            turn(&mut bytes, rows, line, reach.start * C);
            let floats = columns.as_flattened_mut().iter_mut();
            floats.zip(bytes.as_flattened()).for_each(|(f, b)| *f = f32::from(*b));
            for (i, weights) in self.weights.chunks_exact(self.taps).enumerate() {
                let pixels = columns[(self.starts[i] - reach.start) * C..].as_chunks::<C>().0;
                // Three variables stay in registers, an array of arrays would not.
                let (mut red, mut green, mut blue) = ([0f32; ROWS], [0f32; ROWS], [0f32; ROWS]);
                for (pixel, weight) in pixels.iter().zip(weights) {
                    for row in 0..ROWS {
                        red[row] += pixel[0][row] * weight;
                        green[row] += pixel[1][row] * weight;
                        blue[row] += pixel[2][row] * weight;
                    }
                }
                let sums = [red, green, blue];
                for (c, sums) in sums.iter().enumerate() {
                    let levels = levels(sums, margin, |row| {
                        let from = row * line + self.starts[i] * C + c;
                        let end = rows.len().min((row + 1) * line);
                        rows.get(from..end).map_or(0, |v| self.exactly(i, v.iter().step_by(C)))
                    });
                    for (out, level) in out[i * C + c..].iter_mut().step_by(length).zip(levels) {
                        *out = level;
                    }
                }
            }
        }
        out
    }

    #[inline(always)]
    fn down_body(&self, rows: &[u8], line: usize, first: usize) -> Vec<u8> {
        const WIDE: usize = 32;
        let mut out = Vec::with_capacity(self.starts.len() * line);
        let mut sums = vec![[0f32; WIDE]; line.div_ceil(WIDE)];
        let margin = self.margin();
        for (i, weights) in self.weights.chunks_exact(self.taps).enumerate() {
            let rows = &rows[(self.starts[i] - first) * line..];
            sums.fill([0.0; WIDE]);
            for (row, weight) in rows.chunks_exact(line).zip(weights) {
                let sums = sums.as_flattened_mut().iter_mut();
                sums.zip(row).for_each(|(sum, v)| *sum += weight * f32::from(*v));
            }
            for (block, sums) in sums.iter().enumerate() {
                let first = block * WIDE;
                let levels = levels(sums, margin, |column| {
                    let from = (first + column).min(rows.len());
                    self.exactly(i, rows[from..].iter().step_by(line))
                });
                out.extend_from_slice(&levels[..WIDE.min(line - first)]);
            }
        }
        out
    }

    /// How far off a sum of floats can be.
    fn margin(&self) -> f32 {
        ROUNDING * (2 * self.taps + 2) as f32
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

impl NullaryFnOnce for Across<'_> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn call(self) -> Vec<u8> {
        self.0.across_body(self.1, self.2)
    }
}

/// Likewise.
struct Down<'a>(&'a Windows, &'a [u8], usize, usize);

impl NullaryFnOnce for Down<'_> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn call(self) -> Vec<u8> {
        self.0.down_body(self.1, self.2, self.3)
    }
}

/// Up to [`ROWS`] rows of `line` bytes, from byte `first` on, to one column a byte, so that sums run
/// over rows side by side. Columns keep what is beyond the rows.
#[inline(always)]
fn turn(columns: &mut [[u8; ROWS]], rows: &[u8], line: usize, first: usize) {
    let length = columns.len().min(line - first);
    let mut at = 0;
    while rows.len() == ROWS * line && at + 8 <= length {
        let mut eight = [0; 8];
        for (row, number) in eight.iter_mut().enumerate() {
            let bytes = rows[row * line + first + at..].first_chunk();
            *number = u64::from_le_bytes(*bytes.unwrap_or(&[0; 8]));
        }
        for (column, number) in columns[at..at + 8].iter_mut().zip(transposed(eight)) {
            *column = number.to_le_bytes();
        }
        at += 8;
    }
    for (row, bytes) in rows.chunks_exact(line).enumerate() {
        for (column, byte) in columns[at..].iter_mut().zip(&bytes[first + at..]) {
            column[row] = *byte;
        }
    }
}

/// Byte `j` of number `i` to byte `i` of number `j`, by swapping ever smaller squares (Warren,
/// Hacker's Delight, section 7-3).
#[inline(always)]
fn transposed(mut rows: [u64; 8]) -> [u64; 8] {
    for (step, mask) in
        [(4, 0x0000_0000_ffff_ffff), (2, 0x0000_ffff_0000_ffff), (1, 0x00ff_00ff_00ff_00ffu64)]
    {
        for k in 0..4 {
            // The numbers whose index lacks the bit `step`.
            let i = k / step * 2 * step + k % step;
            let swap = ((rows[i] >> (8 * step)) ^ rows[i + step]) & mask;
            rows[i] ^= swap << (8 * step);
            rows[i + step] ^= swap;
        }
    }
    rows
}

/// The nearest of 0..=255 to each sum, from `exactly` where one is within `margin` of a boundary.
#[inline(always)]
fn levels<const N: usize>(sums: &[f32; N], margin: f32, exactly: impl Fn(usize) -> u8) -> [u8; N] {
    // Adding 1.5 * 2^23 leaves the nearest whole number in the last bits.
    const WHOLE: f32 = 12_582_912.0;
    let (mut levels, mut near, mut any) = ([0; N], [0u32; N], 0);
    for i in 0..N {
        let clipped = sums[i].clamp(0.0, 255.0);
        let whole = clipped + WHOLE;
        levels[i] = whole.to_bits() as u8;
        near[i] = u32::from((clipped - (whole - WHOLE)).abs() > 0.5 - margin);
        any |= near[i];
    }
    if any != 0 {
        for (i, level) in levels.iter_mut().enumerate() {
            if near[i] != 0 {
                *level = exactly(i);
            }
        }
    }
    levels
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

    proptest! {
        #[test]
        fn floats_round_as_integers_do(
            bytes in prop::collection::vec(any::<u8>(), 3 * 40 * 3), resized in 3u64..90,
        ) {
            let (rows, width) = (3, 40);
            let windows = Windows::new(width, resized, 0, resized as usize);
            let across = windows.across(&bytes, width);
            for (at, v) in across.iter().enumerate() {
                let (row, i, c) = (at / C / resized as usize, at / C % resized as usize, at % C);
                let line = &bytes[row * width * C..(row + 1) * width * C];
                let values = line[windows.starts[i] * C + c..].iter().step_by(C);
                prop_assert_eq!(*v, windows.exactly(i, values));
            }
            // The same bytes as 120 rows of one pixel.
            let windows = Windows::new(rows * width, resized, 0, resized as usize);
            for (at, v) in windows.down(&bytes, C, 0).iter().enumerate() {
                let values = bytes[windows.starts[at / C] * C + at % C..].iter().step_by(C);
                prop_assert_eq!(*v, windows.exactly(at / C, values));
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
