//! Resizing the shorter side and cropping the centre, as Pillow and torchvision do.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::F32x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::{GrayImage, RgbImage};

use crate::error::DatasetError;

/// One axis of the resized image: its length, and where the centre crop starts in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    source: u32,
    resized: u64,
    start: u64,
}

impl Axis {
    /// Where the crop starts and how long it is, in pixels of the source.
    fn window(self, side: usize) -> (f64, f64) {
        let scale = f64::from(self.source) / self.resized as f64;
        let start = self.start as f64 * scale;
        let length = side as f64 * scale;
        (start, length.min(f64::from(self.source) - start))
    }

    /// The pixels of the source that the filter sees for a window: the first, and how many.
    fn reach(self, start: f64, length: f64) -> (u32, u32) {
        let support = 3.0 * (f64::from(self.source) / self.resized as f64).max(1.0) + 1.0;
        let first = (start - support).max(0.0) as u32;
        let end = ((start + length + support).ceil() as u32).min(self.source);
        (first, end - first)
    }
}

/// Sizes of torchvision's `Resize(side)` then `CenterCrop(side)`: horizontal, vertical.
fn axes(width: u32, height: u32, side: usize) -> Result<[Axis; 2], DatasetError> {
    let short = width.min(height);
    if short == 0 || side == 0 || side > u16::MAX as usize {
        return Err(DatasetError::Resize {
            width,
            height,
            side,
            reason: "both sides must have at least one pixel, the result at most 65535".into(),
        });
    }
    let side = side as u64;
    Ok([width, height].map(|source| {
        let resized = side * u64::from(source) / u64::from(short);
        Axis { source, resized, start: half_to_even(resized - side) }
    }))
}

/// `round(n / 2)` with halves to the even neighbour, as Python rounds.
fn half_to_even(n: u64) -> u64 {
    match n % 4 {
        3 => n / 2 + 1,
        _ => n / 2,
    }
}

/// Lanczos (a = 3, antialiased) to the shorter side, centre crop: side x side pixels.
///
/// Two passes with 8 bits between them, across and then down, as in Pillow: both the order and
/// the rounding show in the result. Each pass is in floats, since 16-bit weights err by up to 2.
pub(crate) fn lanczos_crop(image: &RgbImage, side: usize) -> Result<RgbImage, DatasetError> {
    let (width, height) = image.dimensions();
    let failed = |reason: String| DatasetError::Resize { width, height, side, reason };
    let [x, y] = axes(width, height, side)?;
    let short = side as u32;
    let ((left, across), (top, down)) = (x.window(side), y.window(side));
    let (first, rows) = y.reach(top, down);

    let line = width as usize * 3;
    let needed = &image.as_raw()[first as usize * line..][..rows as usize * line];
    let wide: Vec<F32x3> = needed
        .chunks_exact(3)
        .map(|p| F32x3::new([f32::from(p[0]), f32::from(p[1]), f32::from(p[2])]))
        .collect();
    let mut resizer = Resizer::new();
    let mut pass = |pixels: &[F32x3], from: (u32, u32), to: (u32, u32), options: ResizeOptions| {
        let source =
            TypedImageRef::new(from.0, from.1, pixels).map_err(|e| failed(e.to_string()))?;
        let mut target = TypedImage::<F32x3>::new(to.0, to.1);
        resizer.resize_typed(&source, &mut target, &options).map_err(|e| failed(e.to_string()))?;
        Ok::<_, DatasetError>(target)
    };
    let lanczos = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3))
        .use_alpha(false);
    let options = lanczos.crop(left, 0.0, across, f64::from(rows));
    let mut narrow = pass(&wide, (width, rows), (short, rows), options)?;
    for pixel in narrow.pixels_mut() {
        pixel.0 = pixel.0.map(|v| f32::from(level(v)));
    }
    let options = lanczos.crop(0.0, top - f64::from(first), side as f64, down);
    let square = pass(narrow.pixels(), (short, rows), (short, short), options)?;
    let levels = square.pixels().iter().flat_map(|pixel| pixel.0.map(level));
    RgbImage::from_raw(short, short, levels.collect())
        .ok_or_else(|| failed("the resized pixels do not fill the crop".into()))
}

/// The nearest of 0..=255.
fn level(value: f32) -> u8 {
    (value + 0.5) as u8
}

/// Nearest neighbour to the shorter side, centre crop, non-zero is `true`: side * side, row by row.
pub(crate) fn nearest_crop(mask: &GrayImage, side: usize) -> Result<Vec<bool>, DatasetError> {
    let [x, y] = axes(mask.width(), mask.height(), side)?;
    let (columns, rows) = (nearest_indices(x, side), nearest_indices(y, side));
    let (pixels, width) = (mask.as_raw(), mask.width() as usize);
    let mut out = Vec::with_capacity(side * side);
    for row in rows {
        let line = &pixels[row * width..][..width];
        out.extend(columns.iter().map(|&column| line[column] != 0));
    }
    Ok(out)
}

/// Source index of each pixel of the crop.
fn nearest_indices(axis: Axis, side: usize) -> Vec<usize> {
    let step = f64::from(axis.source) / axis.resized as f64;
    // Pillow adds the step up instead of multiplying, and the rounding errors show.
    let mut position = step * 0.5;
    for _ in 0..axis.start {
        position += step;
    }
    (0..side)
        .map(|_| {
            let index = (position as usize).min(axis.source as usize - 1);
            position += step;
            index
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_to_even() {
        // Python: [round(n / 2) for n in range(8)]
        let rounded: Vec<u64> = (0..8).map(half_to_even).collect();
        assert_eq!(rounded, [0, 0, 1, 2, 2, 2, 3, 4]);
    }

    #[test]
    fn the_long_side_is_truncated() {
        let [x, y] = axes(131, 97, 48).unwrap();
        assert_eq!((x.resized, x.start), (64, 8));
        assert_eq!((y.resized, y.start), (48, 0));
        assert!(axes(0, 5, 8).is_err());
        assert!(axes(5, 5, 0).is_err());
    }

    #[test]
    fn very_long_images_cost_only_their_crop() {
        let line = RgbImage::from_pixel(30_000, 1, image::Rgb([9, 8, 7]));
        let crop = lanczos_crop(&line, 64).unwrap();
        assert!(crop.pixels().all(|p| p.0 == [9, 8, 7]));
        assert!(nearest_crop(&GrayImage::new(30_000, 1), 64).unwrap().iter().all(|m| !m));
    }
}
