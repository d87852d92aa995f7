//! The published rule: normality relative to the best position of the whole test set of a class.

use crate::ScoreError;
use crate::rule::{LevelScores, MapConfig, ScoreRule};
use crate::term_map::{Evidence, TermLevel, anomaly, normality, terms};
use rayon::prelude::*;

/// For each term v: `exp((v - max v) / T)` a level, T of [`MapConfig::temperatures`] and 1 in the paper, upsampled (bilinear, aligned corners), summed over
/// levels; then `max - sum` over the whole set, and a Gaussian filter. The map is the product
/// over terms (the authors' evaluation; Yao et al., ECCV 2024), or their sum.
///
/// Its maxima run over all images given: the rule needs the whole test set of a class at once.
pub struct PaperRule(pub Evidence);

impl ScoreRule for PaperRule {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn needs_classes(&self) -> bool {
        self.0.has_entropy()
    }

    fn maps(
        &self,
        images: usize,
        levels: &[LevelScores],
        config: &MapConfig,
    ) -> Result<Vec<f32>, ScoreError> {
        let terms = terms(self.0, self.name(), images, levels, config.temperatures)?;
        let mut all = terms.iter().map(|term| term_maps(images, term, config));
        let mut maps = all.next().unwrap_or_default();
        let product = self.0 == Evidence::Product;
        for other in all {
            let pairs = maps.par_iter_mut().zip(&other);
            pairs.for_each(|(m, o)| *m = if product { *m * o } else { *m + o });
        }
        Ok(maps)
    }
}

/// Maps of one term from its values a level.
fn term_maps(images: usize, levels: &[TermLevel], config: &MapConfig) -> Vec<f32> {
    let largest = |l: &TermLevel| l.values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let tops: Vec<f32> = levels.iter().map(largest).collect();
    let pixels = config.size * config.size;
    let mut maps = vec![0.0f32; images * pixels];
    maps.par_chunks_mut(pixels.max(1)).enumerate().for_each(|(image, map)| {
        let own: Vec<TermLevel> = levels.iter().map(|l| l.image(image)).collect();
        map.copy_from_slice(&normality(&own, &tops, config.size));
    });
    let best = maps.par_iter().copied().reduce(|| f32::NEG_INFINITY, f32::max);
    maps.par_chunks_mut(pixels.max(1)).for_each(|map| {
        let filtered = anomaly(map.to_vec(), best, config);
        map.copy_from_slice(&filtered);
    });
    maps
}
