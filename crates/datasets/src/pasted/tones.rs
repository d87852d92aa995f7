//! The colours of an image that has but two, as a binarized scan has.

use image::RgbImage;

use crate::synthetic::geometry::Colour;

/// Grey levels that count as one tone: what compression leaves of it.
const WIDTH: usize = 8;
/// Grey levels that two tones are apart at least.
const APART: usize = 64;
/// Share of an image's pixels that are of its two tones.
const SHARE: f64 = 0.9;
/// Share of either: a plain ground with a speck on it has one tone.
const EITHER: f64 = 0.01;

/// Two colours, each 0 to 1.
pub(super) struct Tones([Colour; 2]);

impl Tones {
    /// Of an image that has no others but at edges; `None` for any other.
    pub(super) fn of(image: &RgbImage) -> Option<Self> {
        let grey = |p: &image::Rgb<u8>| p.0.iter().map(|v| usize::from(*v)).sum::<usize>() / 3;
        let mut counts = [0u64; 256];
        image.pixels().for_each(|p| counts[grey(p)] += 1);
        let window = |from: usize| counts[from..from + WIDTH].iter().sum::<u64>();
        let starts = 0..=256 - WIDTH;
        let first = starts.clone().max_by_key(|v| window(*v))?;
        let second = starts.filter(|v| v.abs_diff(first) >= APART).max_by_key(|v| window(*v))?;
        let share = |from: usize| {
            window(from) as f64 / f64::from(image.width()) / f64::from(image.height())
        };
        if share(first) + share(second) < SHARE || share(second) < EITHER {
            return None;
        }
        let mean = |from: usize| {
            let (mut sum, mut count) = ([0.0f32; 3], 0.0f32);
            for p in image.pixels().filter(|p| (from..from + WIDTH).contains(&grey(p))) {
                (0..3).for_each(|c| sum[c] += f32::from(p[c]) / 255.0);
                count += 1.0;
            }
            sum.map(|v| v / count.max(1.0))
        };
        Some(Self([mean(first), mean(second)]))
    }

    /// The tone that `colour` is taken for, `at` of the way from one to the other where that changes.
    pub(super) fn taken(&self, colour: Colour, at: f32) -> Colour {
        let [from, to] = self.0;
        let (mut along, mut whole) = (0.0, 0.0);
        for c in 0..3 {
            along += (colour[c] - from[c]) * (to[c] - from[c]);
            whole += (to[c] - from[c]) * (to[c] - from[c]);
        }
        if along < at * whole { from } else { to }
    }
}
