use image::{GrayImage, Luma, Rgb, RgbImage};

use super::draw::Draw;
use super::flaw::Flaw;
use super::geometry::{Point, length};
use super::noise::hash;
use super::product::Specimen;

/// Smallest mean difference, on the scale 0..=255, that counts as a visible defect.
const VISIBLE: u32 = 4;

/// Lamp and camera of one image.
pub(crate) struct Scene {
    exposure: f32,
    gradient: Point,
    vignette: f32,
    white: [f32; 3],
    noise: f32,
    seed: u32,
}

impl Scene {
    pub(crate) fn new(draw: &mut Draw) -> Self {
        let warm = draw.around(0.006);
        Self {
            exposure: 1.0 + draw.around(0.02),
            gradient: [draw.around(0.015), draw.around(0.015)],
            vignette: draw.range(0.035, 0.045),
            white: [1.0 + warm, 1.0, 1.0 - warm],
            noise: draw.range(0.007, 0.009),
            seed: draw.bits(),
        }
    }

    /// The image of a specimen, `size` x `size` pixels, with a defect or without.
    pub(crate) fn render(
        &self,
        specimen: &dyn Specimen,
        size: u32,
        flaw: Option<&Flaw>,
    ) -> RgbImage {
        let step = 2.0 / size as f32;
        RgbImage::from_fn(size, size, |x, y| {
            let p = [(x as f32 + 0.5) * step - 1.0, (y as f32 + 0.5) * step - 1.0];
            let colour = match flaw {
                Some(f) => {
                    let before = f.warp(p);
                    f.tint(p, specimen.colour(before, flaw), specimen.cover(before))
                }
                None => specimen.colour(p, None),
            };
            let fall = 1.0 - self.vignette * length(p) * length(p);
            let lamp =
                self.exposure * fall * (1.0 + self.gradient[0] * p[0] + self.gradient[1] * p[1]);
            let grain = hash(x as i32, y as i32, self.seed);
            Rgb(std::array::from_fn(|c| {
                // The sum of two uniform bytes is close enough to a bell.
                let bits = grain.rotate_left(8 * c as u32);
                let bell = ((bits & 255) + (bits >> 16 & 255)) as f32 / 255.0 - 1.0;
                let value = colour[c] * lamp * self.white[c] + bell * self.noise * 2.0;
                (value * 255.0).round().clamp(0.0, 255.0) as u8
            }))
        })
    }
}

/// 255 where two images of one size differ visibly: by at least four levels of 255 in a channel, on
/// average over the 3x3 pixels around.
pub(crate) fn difference(a: &RgbImage, b: &RgbImage) -> GrayImage {
    let (width, height) = a.dimensions();
    let apart: Vec<u32> = a
        .pixels()
        .zip(b.pixels())
        .map(|(a, b)| (0..3).map(|c| u32::from(a[c].abs_diff(b[c]))).max().unwrap_or(0))
        .collect();
    GrayImage::from_fn(width, height, |x, y| {
        let (mut sum, mut count) = (0, 0);
        for j in y.saturating_sub(1)..=(y + 1).min(height - 1) {
            for i in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                sum += apart[(j * width + i) as usize];
                count += 1;
            }
        }
        Luma([if sum >= VISIBLE * count { 255 } else { 0 }])
    })
}
