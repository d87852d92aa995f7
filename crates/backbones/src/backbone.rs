//! The interface of every feature extractor.

use crate::BackboneError;
use candle_core::Tensor;

/// One feature map that a backbone gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// The part of the network that ends with it, in timm's words, such as `blocks.4`.
    pub name: String,
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

// ANCHOR: interface
/// A frozen map from images to feature maps, channels-last throughout: (B, H, W, C).
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

    /// Height and width of each level's map for images of `height` x `width` pixels, known without
    /// running anything.
    fn map_size(&self, height: usize, width: usize) -> Vec<(usize, usize)>;

    /// A key for caches of features, hexadecimal: it changes whenever a feature may. A hash of the
    /// architecture, the taps, the normalization and the weights; of a filter bank its parameters
    /// and version.
    fn fingerprint(&self) -> String;
}
// ANCHOR_END: interface

/// Checks (B, H, W, 3).
pub(crate) fn check_images(images: &Tensor) -> Result<(), BackboneError> {
    match images.dims() {
        [_, h, w, 3] if *h > 0 && *w > 0 => Ok(()),
        found => Err(BackboneError::Images { found: found.to_vec() }),
    }
}
