use super::{Bins, Estimate};
use crate::aupro::{check_limit, images_area};
use crate::error::MetricError;
use crate::regions::label_regions;
use crate::sweep::{check_finite, check_lengths};

/// Counts of the pixels of anomaly maps by bin, for AUPRO: images come whole, in any number.
#[derive(Debug, Clone, PartialEq)]
pub struct BinnedRegions {
    bins: Bins,
    /// Normal pixels of each bin, from the highest score.
    normal: Vec<u64>,
    /// Anomalous pixels of each bin, each counted as its share of its region.
    covered: Vec<f64>,
    regions: u64,
}

impl BinnedRegions {
    /// No maps yet; 16 bytes a bin.
    pub fn new(bins: Bins) -> Self {
        let count = bins.count();
        Self { bins, normal: vec![0; count], covered: vec![0.0; count], regions: 0 }
    }

    /// Counts `maps` (n * height * width, images concatenated row by row) with `masks` likewise.
    ///
    /// # Errors
    /// [`MetricError::ShapeMismatch`] unless the length is a whole number of images,
    /// [`MetricError::LengthMismatch`], [`MetricError::NotFinite`]; nothing is counted then.
    pub fn add(
        &mut self,
        maps: &[f32],
        masks: &[bool],
        height: usize,
        width: usize,
    ) -> Result<(), MetricError> {
        let area = images_area(masks.len(), height, width)?;
        check_lengths(maps, masks)?;
        check_finite(maps)?;
        for (map, mask) in maps.chunks_exact(area).zip(masks.chunks_exact(area)) {
            let regions = label_regions(mask, height, width)?;
            self.regions += regions.areas.len() as u64;
            for (&score, &label) in map.iter().zip(&regions.labels) {
                let bin = self.bins.of(score);
                match label {
                    0 => self.normal[bin] += 1,
                    _ => self.covered[bin] += 1.0 / regions.areas[label as usize - 1] as f64,
                }
            }
        }
        Ok(())
    }

    /// Adds what another has counted.
    ///
    /// # Errors
    /// [`MetricError::OtherBins`].
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        if self.bins != other.bins {
            return Err(MetricError::OtherBins);
        }
        self.normal.iter_mut().zip(&other.normal).for_each(|(a, b)| *a += b);
        self.covered.iter_mut().zip(&other.covered).for_each(|(a, b)| *a += b);
        self.regions += other.regions;
        Ok(())
    }

    /// Area under the per-region-overlap curve up to the false positive rate `limit`, over `limit`,
    /// as [`crate::aupro()`].
    ///
    /// The curve rises, so within a bin it lies in the rectangle between its values at the bin's two
    /// ends; the error is half of all these rectangles up to `limit`.
    ///
    /// # Errors
    /// [`MetricError::InvalidLimit`] unless 0 < `limit` <= 1, [`MetricError::NoPositives`],
    /// [`MetricError::NoNegatives`].
    pub fn aupro(&self, limit: f64) -> Result<Estimate, MetricError> {
        check_limit(limit)?;
        let negatives: u64 = self.normal.iter().sum();
        if self.regions == 0 {
            return Err(MetricError::NoPositives { count: negatives as usize });
        }
        if negatives == 0 {
            return Err(MetricError::NoNegatives { count: self.regions as usize });
        }
        let (mut fp, mut x, mut y) = (0, 0.0, 0.0);
        let (mut low, mut high) = (0.0, 0.0);
        for (&normal, &covered) in self.normal.iter().zip(&self.covered) {
            fp += normal;
            let next_y = y + covered / self.regions as f64;
            let next_x = (fp as f64 / negatives as f64).min(limit);
            low += (next_x - x) * y;
            high += (next_x - x) * next_y;
            (x, y) = (next_x, next_y);
            if x >= limit {
                break;
            }
        }
        Ok(Estimate::between(low / limit, high / limit))
    }
}
