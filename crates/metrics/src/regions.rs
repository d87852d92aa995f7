use crate::error::MetricError;

/// The 8-connected regions of one mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regions {
    /// For each pixel (height * width, row by row) 0 for background, else its region from 1 on.
    pub labels: Vec<u32>,
    /// Pixels of each region; `areas[i]` belongs to label `i + 1`.
    pub areas: Vec<usize>,
}

/// Labels the 8-connected regions of `mask` (height * width, row by row), in reading order.
///
/// # Errors
/// [`MetricError::ShapeMismatch`] if the mask is not `height * width` long.
pub fn label_regions(mask: &[bool], height: usize, width: usize) -> Result<Regions, MetricError> {
    if height.checked_mul(width) != Some(mask.len()) {
        return Err(MetricError::ShapeMismatch { len: mask.len(), height, width });
    }
    let mut labels = vec![0; mask.len()];
    let mut areas = Vec::new();
    let mut open = Vec::new();
    for seed in 0..mask.len() {
        if !mask[seed] || labels[seed] != 0 {
            continue;
        }
        let region = areas.len() as u32 + 1;
        let mut area = 0;
        labels[seed] = region;
        open.push(seed);
        while let Some(pixel) = open.pop() {
            area += 1;
            let (y, x) = (pixel / width, pixel % width);
            for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    let near = ny * width + nx;
                    if mask[near] && labels[near] == 0 {
                        labels[near] = region;
                        open.push(near);
                    }
                }
            }
        }
        areas.push(area);
    }
    Ok(Regions { labels, areas })
}
