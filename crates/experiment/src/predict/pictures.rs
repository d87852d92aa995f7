//! Maps as files, and pictures of them over the image.

use super::prediction::Prediction;
use crate::atomic;
use crate::color::heat;
use crate::error::ExperimentError;
use hgad_datasets::Transform;
use hgad_kernels::resize_bilinear_plane;
use image::{ExtendedColorType, ImageEncoder, Rgb, RgbImage};
use std::path::Path;

/// How raw maps are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapFormat {
    /// 16-bit grey: 65535 is 1, the threshold 32768.
    Png,
    /// NumPy's, `float32`, (size, size).
    Npy,
}

impl MapFormat {
    /// The file's extension.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Npy => "npy",
        }
    }

    /// The map of `prediction` as such a file.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn encode(self, prediction: &Prediction) -> Result<Vec<u8>, ExperimentError> {
        let side = prediction.map_size;
        match self {
            Self::Png => {
                let grey: Vec<u16> =
                    prediction.map.iter().map(|v| (v * 65535.0).round() as u16).collect();
                // PNG's samples are big-endian; the encoder takes the machine's order.
                png(bytemuck::cast_slice(&grey), side as u32, ExtendedColorType::L16)
            }
            Self::Npy => Ok(npy(&prediction.map, side)),
        }
    }

    /// Writes the map of `prediction`.
    ///
    /// # Errors
    /// I/O.
    pub fn write(self, path: &Path, prediction: &Prediction) -> Result<(), ExperimentError> {
        atomic::write_bytes(path, &self.encode(prediction)?)
    }
}

/// NumPy's format, version 1.0: magic, length of the header, header padded to 64 bytes, numbers.
fn npy(map: &[f32], side: usize) -> Vec<u8> {
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({side}, {side}), }}");
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut out = b"\x93NUMPY\x01\x00".to_vec();
    out.extend((header.len() as u16).to_le_bytes());
    out.extend(header.as_bytes());
    map.iter().for_each(|v| out.extend(v.to_le_bytes()));
    out
}

/// The square that was looked at, as large as `transform` makes it, with the map over it where it
/// comes near the threshold, and the boxes of regions.
pub(crate) fn overlay(crop: &RgbImage, prediction: &Prediction) -> RgbImage {
    let side = crop.width();
    let size = prediction.map_size;
    let map = resize_bilinear_plane(&prediction.map, size, size, side as usize, side as usize);
    let mut out = crop.clone();
    for (pixel, v) in out.pixels_mut().zip(map) {
        // From half the threshold on, where the map is 1/3.
        let share = ((v - 1.0 / 3.0) * 2.0).clamp(0.0, 0.6);
        let over = heat(v);
        for (p, o) in pixel.0.iter_mut().zip(over) {
            *p = (*p as f32 * (1.0 - share) + o as f32 * share).round() as u8;
        }
    }
    let [x0, y0, w, h] = prediction.square;
    let thickness = (side / 256).max(1);
    for r in &prediction.regions {
        let at = |v: f64, from: f64, length: f64| {
            (((v - from) / length * side as f64).round().max(0.0) as u32).min(side - 1)
        };
        let (left, right) = (at(r.x.into(), x0, w), at(f64::from(r.x + r.width), x0, w));
        let (top, bottom) = (at(r.y.into(), y0, h), at(f64::from(r.y + r.height), y0, h));
        outline(&mut out, [left, top, right, bottom], thickness);
    }
    out
}

fn outline(out: &mut RgbImage, [left, top, right, bottom]: [u32; 4], thickness: u32) {
    const GREEN: Rgb<u8> = Rgb([0, 220, 130]);
    for y in top..=bottom {
        for x in left..=right {
            let inside = x >= left + thickness
                && x + thickness <= right
                && y >= top + thickness
                && y + thickness <= bottom;
            if !inside {
                out.put_pixel(x, y, GREEN);
            }
        }
    }
}

/// The square of an image that [`overlay`] draws on.
pub(crate) fn backdrop(
    image: &RgbImage,
    transform: &Transform,
    map_size: usize,
) -> Result<RgbImage, ExperimentError> {
    let side = transform.img_size.clamp(map_size.min(1024), 1024);
    Ok(Transform { img_size: side, ..*transform }.crop(image)?)
}

/// A picture as PNG.
///
/// # Errors
/// It cannot be encoded.
pub(crate) fn picture(picture: &RgbImage) -> Result<Vec<u8>, ExperimentError> {
    png(picture.as_raw(), picture.width(), ExtendedColorType::Rgb8)
}

fn png(bytes: &[u8], side: u32, kind: ExtendedColorType) -> Result<Vec<u8>, ExperimentError> {
    let height = bytes.len() as u32 / (side * u32::from(kind.bits_per_pixel()) / 8).max(1);
    let mut out = Vec::new();
    image::codecs::png::PngEncoder::new(&mut out)
        .write_image(bytes, side, height, kind)
        .map_err(|e| ExperimentError::File { path: "map.png".into(), reason: e.to_string() })?;
    Ok(out)
}
