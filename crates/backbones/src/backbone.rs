//! The interface of every feature extractor.

use crate::BackboneError;
use candle_core::Tensor;

/// One feature map that a backbone gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Channels C.
    pub channels: usize,
    /// Pixels of the image from one position to the next.
    pub stride: usize,
}

/// Mean and standard deviation of a colour channel on the scale 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// Subtracted.
    pub mean: [f32; 3],
    /// Divided by.
    pub std: [f32; 3],
}

impl Normalization {
    /// ImageNet's.
    pub const IMAGENET: Self = Self { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
}

/// A frozen map from images to feature maps.
pub trait Backbone: Send + Sync {
    /// Its name, timm's where it is one of timm's.
    fn name(&self) -> &str;

    /// The maps that [`Backbone::extract`] gives, in order.
    fn levels(&self) -> &[Level];

    /// How images are normalized before.
    fn normalization(&self) -> Normalization;

    /// `images` (B, H, W, 3), normalized, to one map (B, h, w, C) a level.
    ///
    /// # Errors
    /// Another shape; images too small for a window.
    fn extract(&self, images: &Tensor) -> Result<Vec<Tensor>, BackboneError>;

    /// Height and width of each level's map for images of `height` x `width` pixels.
    fn map_size(&self, height: usize, width: usize) -> Vec<(usize, usize)>;

    /// Changes whenever a feature may: a hash of the architecture and all weights.
    fn fingerprint(&self) -> String;
}

/// Checks (B, H, W, 3).
pub(crate) fn check_images(images: &Tensor) -> Result<(), BackboneError> {
    match images.dims() {
        [_, h, w, 3] if *h > 0 && *w > 0 => Ok(()),
        found => Err(BackboneError::Images { found: found.to_vec() }),
    }
}
