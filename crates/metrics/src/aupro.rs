use rayon::prelude::*;

use crate::error::MetricError;
use crate::regions::{Regions, label_regions};
use crate::sweep::Sweep;

/// Area under the per-region-overlap curve up to the false positive rate `limit`, over `limit`.
///
/// `maps` (n * height * width, images concatenated row by row) holds anomaly scores, `masks` of
/// the same length the ground truth. At each distinct score as threshold, the curve has the share
/// of normal pixels above it (x) and the mean over all 8-connected regions of all images of the
/// share of each region above it (y); points are joined by lines, and the value at `limit` is
/// interpolated (Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021, section 5.3;
/// `limit` is 0.3 there). In 0..=1; small regions weigh as much as large ones.
///
/// # Errors
/// [`MetricError::InvalidLimit`] unless 0 < `limit` <= 1, [`MetricError::ShapeMismatch`] unless the
/// length is a whole number of images, [`MetricError::LengthMismatch`], [`MetricError::NotFinite`],
/// [`MetricError::NoPositives`], [`MetricError::NoNegatives`].
pub fn aupro(
    maps: &[f32],
    masks: &[bool],
    height: usize,
    width: usize,
    limit: f64,
) -> Result<f64, MetricError> {
    check_limit(limit)?;
    let area = images_area(masks.len(), height, width)?;
    let images: Vec<Regions> = masks
        .par_chunks(area)
        .map(|mask| label_regions(mask, height, width))
        .collect::<Result<_, _>>()?;
    let total: usize = images.iter().map(|image| image.areas.len()).sum();
    let weight = |pixel: usize| {
        let regions = &images[pixel / area];
        let label = regions.labels[pixel % area] as usize;
        1.0 / (regions.areas[label - 1] as f64 * total as f64)
    };
    let sweep = Sweep::until(maps, masks, weight, limit)?;
    sweep.require_negatives()?;

    let negatives = sweep.negatives as f64;
    let (mut x, mut y, mut under) = (0.0, 0.0, 0.0);
    for step in sweep.steps() {
        let above = (step.fp_above as f64 / negatives).min(limit);
        under += (above - x) * y;
        x = above;
        if step.fp_above as f64 / negatives > limit {
            break;
        }
        let (next_x, next_y) =
            (step.fp as f64 / negatives, y + step.ties.iter().map(|tie| tie.payload).sum::<f64>());
        if next_x > limit {
            let at_limit = y + (next_y - y) * (limit - x) / (next_x - x);
            under += (limit - x) * (y + at_limit) / 2.0;
            x = limit;
            break;
        }
        under += (next_x - x) * (y + next_y) / 2.0;
        (x, y) = (next_x, next_y);
    }
    under += (limit - x) * y;
    Ok(under / limit)
}

pub(crate) fn check_limit(limit: f64) -> Result<(), MetricError> {
    match limit > 0.0 && limit <= 1.0 {
        true => Ok(()),
        false => Err(MetricError::InvalidLimit { limit }),
    }
}

/// Pixels of an image, where `len` pixels are whole images.
pub(crate) fn images_area(len: usize, height: usize, width: usize) -> Result<usize, MetricError> {
    match height.checked_mul(width) {
        Some(area) if area > 0 && len.is_multiple_of(area) => Ok(area),
        _ => Err(MetricError::ShapeMismatch { len, height, width }),
    }
}
