//! Resizing the shorter side and cropping the centre, as Pillow and torchvision do.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use image::{GrayImage, RgbImage};

use crate::error::DatasetError;
use crate::lanczos::Windows;

/// One axis of the resized image: its length, and where the centre crop starts in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Axis {
    source: u32,
    resized: u64,
    start: u64,
}

impl Axis {
    /// What the pixels of the crop are made of. The last ones stay: many images are of one size, and
    /// sines are dear.
    fn windows(self, side: usize) -> Arc<Windows> {
        const KEPT: usize = 8;
        static LAST: Mutex<VecDeque<(Axis, usize, Arc<Windows>)>> = Mutex::new(VecDeque::new());
        let last = || LAST.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((.., windows)) = last().iter().find(|l| (l.0, l.1) == (self, side)) {
            return Arc::clone(windows);
        }
        let windows = Arc::new(Windows::new(self.source as usize, self.resized, self.start, side));
        let mut last = last();
        last.truncate(KEPT - 1);
        last.push_front((self, side, Arc::clone(&windows)));
        windows
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

/// The crop in pixels of the image: left, top, width, height.
pub(crate) fn crop_region(width: u32, height: u32, side: usize) -> Result<[f64; 4], DatasetError> {
    let [x, y] = axes(width, height, side)?;
    let scale = |a: Axis| f64::from(a.source) / a.resized as f64;
    let (sx, sy) = (scale(x), scale(y));
    Ok([x.start as f64 * sx, y.start as f64 * sy, side as f64 * sx, side as f64 * sy])
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
/// the rounding show in the result.
pub(crate) fn lanczos_crop(image: &RgbImage, side: usize) -> Result<RgbImage, DatasetError> {
    let (width, height) = image.dimensions();
    let [x, y] = axes(width, height, side)?.map(|a| a.windows(side));
    let line = width as usize * 3;
    let reach = y.reach();
    let rows = reach.start..reach.end.min(height as usize);
    let narrow = x.across(&image.as_raw()[rows.start * line..rows.end * line], width as usize);
    let square = y.down(&narrow, side * 3, rows.start);
    RgbImage::from_raw(side as u32, side as u32, square).ok_or_else(|| DatasetError::Resize {
        width,
        height,
        side,
        reason: "the resized pixels do not fill the crop".into(),
    })
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
    fn the_crop_in_pixels_of_the_image() {
        assert_eq!(crop_region(400, 200, 100).unwrap(), [100.0, 0.0, 200.0, 200.0]);
        assert_eq!(crop_region(50, 50, 100).unwrap(), [0.0, 0.0, 50.0, 50.0]);
    }

    #[test]
    fn very_long_images_cost_only_their_crop() {
        let line = RgbImage::from_pixel(30_000, 1, image::Rgb([9, 8, 7]));
        let crop = lanczos_crop(&line, 64).unwrap();
        assert!(crop.pixels().all(|p| p.0 == [9, 8, 7]));
        assert!(nearest_crop(&GrayImage::new(30_000, 1), 64).unwrap().iter().all(|m| !m));
    }
}
