//! Hashes and lattice noise: pure functions of position and seed.

use super::geometry::{Point, mix, smooth};

/// Uniform bits of a lattice point.
#[inline]
pub(crate) fn hash(x: i32, y: i32, seed: u32) -> u32 {
    let mut h = (x as u32).wrapping_mul(0x9e37_79b1) ^ seed.wrapping_mul(0x85eb_ca77);
    h = (h ^ (h >> 15)).wrapping_add((y as u32).wrapping_mul(0xc2b2_ae3d));
    h = (h ^ (h >> 16)).wrapping_mul(0x7feb_352d);
    h = (h ^ (h >> 15)).wrapping_mul(0x846c_a68b);
    h ^ (h >> 16)
}

/// Uniform in 0..1 of a lattice point.
#[inline]
pub(crate) fn unit(x: i32, y: i32, seed: u32) -> f32 {
    (hash(x, y, seed) >> 8) as f32 / (1 << 24) as f32
}

/// Smoothly interpolated lattice noise, in 0..1, period about one.
#[inline]
pub(crate) fn value(p: Point, seed: u32) -> f32 {
    let (x, y) = (p[0].floor(), p[1].floor());
    let (i, j) = (x as i32, y as i32);
    let (fx, fy) = (smooth(0.0, 1.0, p[0] - x), smooth(0.0, 1.0, p[1] - y));
    let low = mix(unit(i, j, seed), unit(i + 1, j, seed), fx);
    let high = mix(unit(i, j + 1, seed), unit(i + 1, j + 1, seed), fx);
    mix(low, high, fy)
}

/// Three octaves of [`value`], in -1..1.
#[inline]
pub(crate) fn fractal(p: Point, seed: u32) -> f32 {
    let octave = |k: u32, scale: f32| {
        value([p[0] * scale + 17.3 * k as f32, p[1] * scale], seed.wrapping_add(k)) * 2.0 - 1.0
    };
    0.57 * octave(0, 1.0) + 0.29 * octave(1, 2.03) + 0.14 * octave(2, 4.11)
}

/// The cell of cellular noise that a point lies in.
#[derive(Clone, Copy)]
pub(crate) struct Cell {
    /// From the cell's centre to the point.
    pub(crate) offset: Point,
    /// Distance to the second nearest centre less that to the nearest: 0 on a border.
    pub(crate) border: f32,
    /// Uniform in 0..1, one value a cell.
    pub(crate) id: f32,
}

/// Cellular noise with about one cell a unit square.
#[inline]
pub(crate) fn cell(p: Point, seed: u32) -> Cell {
    let (x, y) = (p[0].floor() as i32, p[1].floor() as i32);
    let (mut first, mut second) = (f32::MAX, f32::MAX);
    let (mut offset, mut owner) = ([0.0; 2], (x, y));
    for j in y - 1..=y + 1 {
        for i in x - 1..=x + 1 {
            let bits = hash(i, j, seed);
            let cx = i as f32 + 0.1 + 0.8 * (bits & 0xffff) as f32 / 65536.0;
            let cy = j as f32 + 0.1 + 0.8 * (bits >> 16) as f32 / 65536.0;
            let d = [p[0] - cx, p[1] - cy];
            let distance = d[0] * d[0] + d[1] * d[1];
            if distance < first {
                second = first;
                (first, offset, owner) = (distance, d, (i, j));
            } else if distance < second {
                second = distance;
            }
        }
    }
    Cell { offset, border: second.sqrt() - first.sqrt(), id: unit(owner.0, owner.1, seed ^ 0x5bd1) }
}
