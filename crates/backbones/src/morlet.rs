//! Morlet wavelets: oriented band-pass filters that do not see a constant.

use crate::plane::Plane;
use hgad_kernels::{ComplexTaps, complex_filter};

/// One wavelet with an isotropic Gaussian envelope, which makes it separable.
pub(crate) struct Morlet {
    row: ComplexTaps,
    column: ComplexTaps,
    envelope: ComplexTaps,
    /// Takes the mean out, so that a constant gives 0.
    correction: f32,
}

/// Taps to each side of the middle one.
pub(crate) const RADIUS: usize = 4;

impl Morlet {
    /// Frequency `frequency` (radians a pixel) in direction `angle`, envelope of deviation `sigma`
    /// pixels.
    pub(crate) fn new(sigma: f64, frequency: f64, angle: f64) -> Self {
        let radius = RADIUS as isize;
        let gauss = |i: isize| (-(i * i) as f64 / (2.0 * sigma * sigma)).exp();
        let total: f64 = (-radius..=radius).map(gauss).sum();
        let wave = |w: f64| {
            let tap = move |i: isize| {
                let (s, c) = (w * i as f64).sin_cos();
                (gauss(i) / total * c, gauss(i) / total * s)
            };
            let (re, im) = (-radius..=radius).map(tap).map(|(a, b)| (a as f32, b as f32)).unzip();
            ComplexTaps { re, im }
        };
        let (row, column) = (wave(frequency * angle.cos()), wave(frequency * angle.sin()));
        let sum = |t: &ComplexTaps| t.re.iter().sum::<f32>();
        let correction = sum(&row) * sum(&column);
        Self { row, column, envelope: wave(0.0), correction }
    }

    /// `plane` smoothed by the envelope, which all wavelets of one deviation share.
    pub(crate) fn smooth(&self, plane: &Plane) -> Vec<f32> {
        complex_filter(&plane.values, plane.height, plane.width, &self.envelope, &self.envelope).0
    }

    /// Modulus of the wavelet transform; `smooth` from [`Morlet::smooth`] of the same plane.
    pub(crate) fn modulus(&self, plane: &Plane, smooth: &[f32]) -> Plane {
        let (mut re, im) =
            complex_filter(&plane.values, plane.height, plane.width, &self.row, &self.column);
        for ((re, im), mean) in re.iter_mut().zip(&im).zip(smooth) {
            let corrected = *re - self.correction * mean;
            *re = (corrected * corrected + im * im).sqrt();
        }
        Plane { values: re, ..*plane }
    }
}

#[cfg(test)]
mod tests {
    use super::Morlet;
    use crate::plane::Plane;

    fn response(wavelet: &Morlet, f: impl Fn(f64, f64) -> f64) -> f32 {
        let values = (0..32 * 32).map(|i| f((i / 32) as f64, (i % 32) as f64) as f32).collect();
        let plane = Plane { height: 32, width: 32, values };
        wavelet.modulus(&plane, &wavelet.smooth(&plane)).values[16 * 32 + 16]
    }

    #[test]
    fn sees_its_own_direction_and_no_constant() {
        let across = Morlet::new(1.4, 2.1, 0.0);
        let along = Morlet::new(1.4, 2.1, std::f64::consts::FRAC_PI_2);
        assert!(response(&across, |_, _| 5.0) < 1e-5);
        assert!(response(&across, |_, x| (2.1 * x).sin()) > 0.4);
        assert!(response(&along, |_, x| (2.1 * x).sin()) < 0.05);
        assert!(response(&along, |y, _| (2.1 * y).sin()) > 0.4);
    }
}
