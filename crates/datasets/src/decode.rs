use std::fs::File;
use std::io::{BufReader, Cursor};
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use crate::error::DatasetError;

/// Images with more pixels than this are refused before they are decoded.
pub const MAX_PIXELS: u64 = 256 * 1024 * 1024;

/// Decoders may hold so many bytes a pixel of the limit: 16-bit RGBA.
const BYTES_A_PIXEL: u64 = 8;

/// Decodes an image to 8-bit RGB: grey gives three equal channels, 16-bit values are scaled to
/// 8-bit ones, alpha is dropped.
///
/// The format is told by the file's content, not by its name.
///
/// # Errors
/// [`DatasetError::Io`], [`DatasetError::Corrupt`], [`DatasetError::TooLarge`].
pub fn read_image(path: &Path) -> Result<RgbImage, DatasetError> {
    Ok(rgb(decode(path)?))
}

/// [`read_image`] of a file's bytes, which may come from anywhere: images of more than `max_pixels`
/// pixels ([`MAX_PIXELS`] at most) are refused by their header, before any pixel is decoded. `name` is
/// what errors call it.
///
/// # Errors
/// [`DatasetError::Corrupt`], [`DatasetError::TooLarge`].
pub fn decode_image(bytes: &[u8], name: &Path, max_pixels: u64) -> Result<RgbImage, DatasetError> {
    Ok(rgb(decode_bytes(bytes, name, max_pixels.min(MAX_PIXELS))?))
}

/// Decodes a mask: 255 where any colour channel is non-zero, else 0. Alpha is ignored.
///
/// # Errors
/// As [`read_image`].
pub fn read_mask(path: &Path) -> Result<GrayImage, DatasetError> {
    let binary = |set: bool| if set { 255 } else { 0 };
    Ok(match decode(path)? {
        DynamicImage::ImageLuma8(mut grey) => {
            grey.iter_mut().for_each(|v| *v = binary(*v != 0));
            grey
        }
        // 16 bits a channel, so that small labels do not round to zero.
        other => {
            let rgb = other.into_rgb16();
            GrayImage::from_fn(rgb.width(), rgb.height(), |x, y| {
                image::Luma([binary(rgb.get_pixel(x, y).0.iter().any(|&v| v != 0))])
            })
        }
    })
}

/// Decodes the whole file and says whether that works.
///
/// # Errors
/// As [`read_image`].
pub fn verify_image(path: &Path) -> Result<(), DatasetError> {
    decode(path).map(drop)
}

/// Width and height in pixels, from the header alone.
pub(crate) fn dimensions(path: &Path) -> Result<(u32, u32), DatasetError> {
    let file = File::open(path).map_err(|e| io("read", path, e))?;
    ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .map_err(|e| io("read", path, e))?
        .into_dimensions()
        .map_err(|e| corrupt(path, e))
}

/// The bytes of a file.
pub(crate) fn read_bytes(path: &Path) -> Result<Vec<u8>, DatasetError> {
    std::fs::read(path).map_err(|e| io("read", path, e))
}

fn decode(path: &Path) -> Result<DynamicImage, DatasetError> {
    decode_bytes(&read_bytes(path)?, path, MAX_PIXELS)
}

fn decode_bytes(bytes: &[u8], path: &Path, limit: u64) -> Result<DynamicImage, DatasetError> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|e| io("read", path, e))?;
    let format = reader.format();
    let mut limits = Limits::default();
    limits.max_alloc = Some(limit * BYTES_A_PIXEL);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|e| corrupt(path, e))?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > limit {
        return Err(DatasetError::TooLarge { path: path.into(), width, height, limit });
    }
    if width == 0 || height == 0 {
        return Err(corrupt(path, format!("{width}x{height} pixels")));
    }
    // The decoder fills what a cut JPEG lacks with grey and calls it a success.
    if format == Some(ImageFormat::Jpeg) && !jpeg_ends(bytes) {
        return Err(corrupt(path, "the JPEG has no end marker"));
    }
    DynamicImage::from_decoder(decoder).map_err(|e| corrupt(path, e))
}

/// Of 8 bits without colour profiles, which the `image` crate's conversions go through in floats even
/// where nothing changes: that takes longer than decoding.
fn rgb(image: DynamicImage) -> RgbImage {
    let (width, height) = (image.width(), image.height());
    let flat = |pixels: Vec<[u8; 3]>| RgbImage::from_raw(width, height, pixels.into_flattened());
    let converted = match &image {
        DynamicImage::ImageLuma8(grey) => flat(grey.iter().map(|v| [*v; 3]).collect()),
        DynamicImage::ImageLumaA8(grey) => flat(grey.pixels().map(|p| [p.0[0]; 3]).collect()),
        DynamicImage::ImageRgba8(rgba) => {
            flat(rgba.pixels().map(|p| [p.0[0], p.0[1], p.0[2]]).collect())
        }
        _ => None,
    };
    converted.unwrap_or_else(|| image.into_rgb8())
}

/// Whether an end-of-image marker follows the last start of scan.
fn jpeg_ends(bytes: &[u8]) -> bool {
    let last = bytes.windows(2).rev().find(|p| matches!(p, [0xff, 0xd9 | 0xda]));
    last == Some(&[0xff, 0xd9])
}

fn corrupt(path: &Path, reason: impl ToString) -> DatasetError {
    DatasetError::Corrupt { path: path.into(), reason: reason.to_string() }
}

pub(crate) fn io(action: &'static str, path: &Path, source: std::io::Error) -> DatasetError {
    DatasetError::Io { action, path: path.into(), source }
}
