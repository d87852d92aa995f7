use image::{GrayImage, RgbImage};
use serde::{Deserialize, Serialize};

use crate::error::DatasetError;
use crate::resize::{crop_region, lanczos_crop, nearest_crop};

/// From a decoded image to the square, normalized pixels a backbone takes.
///
/// Shorter side to `img_size` by Lanczos (Pillow's, antialiased), centre crop (torchvision's
/// rounding), scaled to 0..=1, then `(v - mean) / std` a channel.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transform {
    /// Side of the square result, in pixels.
    pub img_size: usize,
    /// Mean of red, green and blue, on the scale 0..=1.
    pub mean: [f32; 3],
    /// Standard deviation of red, green and blue, on the scale 0..=1.
    pub std: [f32; 3],
}

impl Transform {
    /// With the mean and standard deviation of ImageNet, which its pretrained backbones expect.
    pub fn imagenet(img_size: usize) -> Self {
        Self { img_size, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
    }

    /// Normalized pixels of the crop: (img_size, img_size, 3), row by row, channels last.
    ///
    /// # Errors
    /// [`DatasetError::Resize`] if the image is empty or `img_size` is 0 or above 65535.
    pub fn image(&self, image: &RgbImage) -> Result<Vec<f32>, DatasetError> {
        Ok(self.normalize(&self.crop(image)?))
    }

    /// The resized and cropped image before normalization: img_size x img_size pixels.
    ///
    /// # Errors
    /// As [`Transform::image`].
    pub fn crop(&self, image: &RgbImage) -> Result<RgbImage, DatasetError> {
        lanczos_crop(image, self.img_size)
    }

    /// The part of an image of `width` x `height` pixels that the crop shows, in its own pixels: left,
    /// top, width, height.
    ///
    /// # Errors
    /// As [`Transform::image`].
    pub fn region(&self, width: u32, height: u32) -> Result<[f64; 4], DatasetError> {
        crop_region(width, height, self.img_size)
    }

    /// Normalized pixels of an image as it is: (height, width, 3), row by row, channels last.
    pub fn normalize(&self, crop: &RgbImage) -> Vec<f32> {
        let table: [[f32; 256]; 3] = std::array::from_fn(|c| {
            std::array::from_fn(|v| (v as f32 / 255.0 - self.mean[c]) / self.std[c])
        });
        let pixels = crop.as_raw().as_chunks::<3>().0.iter();
        let normal = |pixel: &[u8; 3]| std::array::from_fn(|c| table[c][usize::from(pixel[c])]);
        pixels.map(normal).collect::<Vec<[f32; 3]>>().into_flattened()
    }

    /// A mask on the same crop by nearest neighbour: (mask_size, mask_size), row by row; non-zero
    /// pixels are anomalous, `true`.
    ///
    /// # Errors
    /// [`DatasetError::Resize`] if the mask is empty or `mask_size` is 0 or above 65535.
    pub fn mask(&self, mask: &GrayImage, mask_size: usize) -> Result<Vec<bool>, DatasetError> {
        nearest_crop(mask, mask_size)
    }

    /// A text that differs whenever the resulting pixels may, for the keys of caches.
    pub fn fingerprint(&self) -> String {
        let bits = |v: [f32; 3]| v.map(|x| format!("{:08x}", x.to_bits())).join(",");
        format!(
            "lanczos3-centre-2 size={} mean={} std={}",
            self.img_size,
            bits(self.mean),
            bits(self.std)
        )
    }
}
