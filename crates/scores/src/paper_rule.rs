//! The published rule: normality relative to the best position of the whole test set of a class.

use crate::ScoreError;
use crate::gaussian_filter::gaussian_filter;
use crate::rule::{LevelScores, MapConfig, ScoreRule};
use hgad_kernels::resize_bilinear_plane;
use rayon::prelude::*;

/// Which score terms a map is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Likelihood alone.
    Likelihood,
    /// Entropy alone.
    Entropy,
    /// Both, multiplied: the paper's.
    Product,
    /// Both, added: each runs from 0 to the number of levels at most.
    Sum,
}

/// For each term v: `exp(v - max v)` a level, upsampled (bilinear, aligned corners), summed over
/// levels; then `max - sum` over the whole set, and a Gaussian filter. The map is the product
/// over terms (the authors' evaluation; Yao et al., ECCV 2024), or their sum.
///
/// Its maxima run over all images given: the rule needs the whole test set of a class at once.
pub struct PaperRule(pub Evidence);

impl ScoreRule for PaperRule {
    fn name(&self) -> &'static str {
        match self.0 {
            Evidence::Likelihood => "likelihood",
            Evidence::Entropy => "entropy",
            Evidence::Product => "product",
            Evidence::Sum => "sum",
        }
    }

    fn needs_classes(&self) -> bool {
        self.0 != Evidence::Likelihood
    }

    fn maps(
        &self,
        images: usize,
        levels: &[LevelScores],
        config: &MapConfig,
    ) -> Result<Vec<f32>, ScoreError> {
        let entropies: Vec<Option<&[f32]>> =
            levels.iter().map(|l| l.neg_entropy.as_deref()).collect();
        let likelihoods: Vec<&[f32]> = levels.iter().map(|l| l.likelihood.as_slice()).collect();
        let sizes: Vec<(usize, usize)> = levels.iter().map(|l| (l.height, l.width)).collect();
        let entropies: Option<Vec<&[f32]>> = entropies.into_iter().collect();
        let missing = ScoreError::NoEntropy { rule: self.name() };
        match self.0 {
            Evidence::Likelihood => term_maps(images, &likelihoods, &sizes, config),
            Evidence::Entropy => term_maps(images, &entropies.ok_or(missing)?, &sizes, config),
            Evidence::Product | Evidence::Sum => {
                let entropies = entropies.ok_or(missing)?;
                let mut maps = term_maps(images, &likelihoods, &sizes, config)?;
                let other = term_maps(images, &entropies, &sizes, config)?;
                let product = self.0 == Evidence::Product;
                maps.par_iter_mut()
                    .zip(&other)
                    .for_each(|(m, o)| *m = if product { *m * o } else { *m + o });
                Ok(maps)
            }
        }
    }
}

/// Maps of one term from its values a level.
fn term_maps(
    images: usize,
    levels: &[&[f32]],
    sizes: &[(usize, usize)],
    config: &MapConfig,
) -> Result<Vec<f32>, ScoreError> {
    let mut largest = Vec::with_capacity(levels.len());
    for (level, (values, (h, w))) in levels.iter().zip(sizes).enumerate() {
        if values.len() != images * h * w {
            let (expected, found) = (images * h * w, values.len());
            return Err(ScoreError::Level { level, expected, found });
        }
        if !values.iter().all(|v| v.is_finite()) {
            return Err(ScoreError::NotFinite { level });
        }
        largest.push(values.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    }
    let pixels = config.size * config.size;
    let mut maps = vec![0.0f32; images * pixels];
    maps.par_chunks_mut(pixels.max(1)).enumerate().for_each(|(image, map)| {
        for ((values, &(h, w)), max) in levels.iter().zip(sizes).zip(&largest) {
            let normal: Vec<f32> =
                values[image * h * w..][..h * w].iter().map(|v| (v - max).exp()).collect();
            let up = resize_bilinear_plane(&normal, h, w, config.size, config.size);
            map.iter_mut().zip(up).for_each(|(m, u)| *m += u);
        }
    });
    let best = maps.par_iter().copied().reduce(|| f32::NEG_INFINITY, f32::max);
    maps.par_chunks_mut(pixels.max(1)).for_each(|map| {
        map.iter_mut().for_each(|m| *m = best - *m);
        let filtered = gaussian_filter(map, config.size, config.size, config.sigma);
        map.copy_from_slice(&filtered);
    });
    Ok(maps)
}
