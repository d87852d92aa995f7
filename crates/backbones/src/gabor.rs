//! Morlet wavelets and averaging on planes.

use hgad_kernels::{ComplexTaps, complex_filter};

/// A plane of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) values: Vec<f32>,
}

/// One oriented wavelet with an isotropic Gaussian envelope, which makes it separable.
pub(crate) struct Morlet {
    row: ComplexTaps,
    column: ComplexTaps,
    envelope: ComplexTaps,
    /// Takes the mean out, so that a constant gives 0.
    correction: f32,
}

const RADIUS: isize = 4;

impl Morlet {
    /// Frequency `frequency` (radians a pixel) in direction `angle`, envelope of deviation `sigma`
    /// pixels, 9 taps.
    pub(crate) fn new(sigma: f64, frequency: f64, angle: f64) -> Self {
        let gauss = |i: isize| (-(i * i) as f64 / (2.0 * sigma * sigma)).exp();
        let total: f64 = (-RADIUS..=RADIUS).map(gauss).sum();
        let wave = |w: f64| {
            let tap = move |i: isize| {
                let (s, c) = (w * i as f64).sin_cos();
                (gauss(i) / total * c, gauss(i) / total * s)
            };
            let (re, im) = (-RADIUS..=RADIUS).map(tap).map(|(a, b)| (a as f32, b as f32)).unzip();
            ComplexTaps { re, im }
        };
        let (row, column) = (wave(frequency * angle.cos()), wave(frequency * angle.sin()));
        let sum = |t: &ComplexTaps| t.re.iter().sum::<f32>();
        let correction = sum(&row) * sum(&column);
        Self { row, column, envelope: wave(0.0), correction }
    }

    /// `plane` smoothed by the envelope, which all wavelets of one scale share.
    pub(crate) fn smooth(&self, plane: &Plane) -> Vec<f32> {
        complex_filter(&plane.values, plane.height, plane.width, &self.envelope, &self.envelope).0
    }

    /// Modulus of the wavelet transform; `smooth` from [`Morlet::smooth`] of the same plane.
    pub(crate) fn modulus(&self, plane: &Plane, smooth: &[f32]) -> Plane {
        let (re, im) =
            complex_filter(&plane.values, plane.height, plane.width, &self.row, &self.column);
        let values = re
            .iter()
            .zip(&im)
            .zip(smooth)
            .map(|((re, im), mean)| {
                let re = re - self.correction * mean;
                (re * re + im * im).sqrt()
            })
            .collect();
        Plane { values, ..*plane }
    }
}

impl Plane {
    /// Means of blocks of 2 x 2 pixels; an odd last row or column goes with the one before.
    pub(crate) fn halved(&self) -> Self {
        self.blocks(2)
    }

    /// Means of blocks of `side` x `side` pixels, at least one; what is left over at the end goes
    /// with the last block.
    pub(crate) fn blocks(&self, side: usize) -> Self {
        self.reduce(side, 0.0, |sum, v| sum + v, |sum, count| sum / count as f32)
    }

    /// Maxima of blocks.
    pub(crate) fn peaks(&self, side: usize) -> Self {
        self.reduce(side, f32::NEG_INFINITY, f32::max, |max, _| max)
    }

    fn reduce(
        &self,
        side: usize,
        start: f32,
        fold: impl Fn(f32, f32) -> f32,
        finish: impl Fn(f32, usize) -> f32,
    ) -> Self {
        let (height, width) = ((self.height / side).max(1), (self.width / side).max(1));
        let span = |i: usize, of: usize, len: usize| {
            i * side..if i + 1 == of { len } else { (i + 1) * side }
        };
        let mut values = Vec::with_capacity(height * width);
        for y in 0..height {
            for x in 0..width {
                let (rows, columns) = (span(y, height, self.height), span(x, width, self.width));
                let count = rows.len() * columns.len();
                let mut sum = start;
                for row in rows {
                    let line = &self.values[row * self.width..][columns.clone()];
                    sum = line.iter().fold(sum, |s, v| fold(s, *v));
                }
                values.push(finish(sum, count));
            }
        }
        Self { height, width, values }
    }
}
