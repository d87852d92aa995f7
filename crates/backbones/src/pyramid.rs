//! The image pyramid: one backbone on an image at several sizes.

use crate::backbone::check_images;
use crate::{Backbone, BackboneError, Patches};
use candle_core::Tensor;
use hgad_kernels::resize_bilinear;

/// Maps of `images` (B, S, S, 3) at full size, half, a quarter, ... for `levels` sizes, each size
/// resized (bilinear, aligned corners) from the full one; maps of one size come together, in the
/// order of [`Backbone::levels`], or joined as `patches` has it. Section 1 of HGAD's method.
///
/// # Errors
/// Images too small for so many levels; what the backbone gives.
pub fn extract_pyramid(
    backbone: &dyn Backbone,
    images: &Tensor,
    levels: usize,
    patches: &Patches,
) -> Result<Vec<Tensor>, BackboneError> {
    check_images(images)?;
    let (_, h, w, _) = images.dims4()?;
    check_levels(h.min(w), levels)?;
    let mut maps = Vec::with_capacity(levels * backbone.levels().len());
    for level in 0..levels {
        let at_size = match level {
            0 => images.clone(),
            _ => resize_bilinear(images, h >> level, w >> level)?,
        };
        maps.extend(patches.extract(backbone, &at_size)?);
    }
    Ok(maps)
}

/// Height, width and channels of the maps of [`extract_pyramid`] for square images of `side`
/// pixels, without running anything.
///
/// # Errors
/// Images too small for so many levels; patches that do not fit.
pub fn map_sizes(
    backbone: &dyn Backbone,
    side: usize,
    levels: usize,
    patches: &Patches,
) -> Result<Vec<(usize, usize, usize)>, BackboneError> {
    check_levels(side, levels)?;
    patches.check(backbone, side >> (levels - 1))?;
    let sizes = |level| patches.map_sizes(backbone, side >> level, side >> level);
    Ok((0..levels).flat_map(sizes).collect())
}

fn check_levels(side: usize, levels: usize) -> Result<(), BackboneError> {
    if levels > 0 && levels < 32 && side >> (levels - 1) >= 32 {
        return Ok(());
    }
    let why = "the smallest image of the pyramid must have at least 32 pixels a side; use a larger data.img_size or fewer levels";
    Err(BackboneError::Setting { key: "backbone.pyramid", value: levels.to_string(), why })
}
