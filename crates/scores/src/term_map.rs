//! From the values of one term to a map of one image: what all rules share.

use crate::ScoreError;
use crate::gaussian_filter::gaussian_filter;
use crate::rule::{LevelScores, MapConfig};
use hgad_kernels::resize_bilinear_plane;
use serde::{Deserialize, Serialize};

/// Which score terms a map is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Likelihood alone.
    Likelihood,
    /// Entropy alone.
    Entropy,
    /// Both, multiplied: the paper's.
    Product,
    /// Both, added: each runs from 0 to the number of levels at most.
    Sum,
    /// Likelihood alone, each level in deviations of normal images: the standardized rule's.
    Standardized,
}

impl Evidence {
    /// Its name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Likelihood => "likelihood",
            Self::Entropy => "entropy",
            Self::Product => "product",
            Self::Sum => "sum",
            Self::Standardized => "standardized",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Likelihood, Self::Entropy, Self::Product, Self::Sum, Self::Standardized]
            .into_iter()
            .find(|e| e.name() == name)
    }

    /// Whether it looks at the likelihood.
    pub fn has_likelihood(self) -> bool {
        self != Self::Entropy
    }

    /// Whether it looks at the entropy, which only a prior with classes has.
    pub fn has_entropy(self) -> bool {
        !matches!(self, Self::Likelihood | Self::Standardized)
    }

    /// One map of the maps of the terms it looks at.
    pub(crate) fn combine(self, maps: Vec<Vec<f32>>) -> Vec<f32> {
        let mut maps = maps.into_iter();
        let mut all = maps.next().unwrap_or_default();
        for other in maps {
            let product = self == Self::Product;
            let pairs = all.iter_mut().zip(other);
            pairs.for_each(|(m, o)| if product { *m *= o } else { *m += o });
        }
        all
    }
}

/// Values of one term at one level, images one after the other, positions row-major.
#[derive(Clone, Copy)]
pub(crate) struct TermLevel<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// What values are divided by before they are exponentials.
    pub(crate) temperature: f32,
}

impl<'a> TermLevel<'a> {
    /// The values of the `i`-th image.
    pub(crate) fn image(self, i: usize) -> Self {
        let positions = self.height * self.width;
        Self { values: &self.values[i * positions..][..positions], ..self }
    }
}

/// Every term that `evidence` looks at, level by level, checked: finite, and of `images` images;
/// `temperatures` of likelihood and entropy.
pub(crate) fn terms<'a>(
    evidence: Evidence,
    rule: &'static str,
    images: usize,
    levels: &'a [LevelScores],
    temperatures: [f64; 2],
) -> Result<Vec<Vec<TermLevel<'a>>>, ScoreError> {
    let of = |values: &'a [f32], l: &LevelScores, term: usize| {
        let temperature = temperatures[term] as f32;
        TermLevel { values, height: l.height, width: l.width, temperature }
    };
    let mut all: Vec<Vec<TermLevel>> = Vec::with_capacity(2);
    if evidence.has_likelihood() {
        all.push(levels.iter().map(|l| of(&l.likelihood, l, 0)).collect());
    }
    if evidence.has_entropy() {
        let entropies = levels.iter().map(|l| Some(of(l.neg_entropy.as_deref()?, l, 1))).collect();
        let entropies: Option<Vec<TermLevel>> = entropies;
        all.push(entropies.ok_or(ScoreError::NoEntropy { rule })?);
    }
    for term in &all {
        for (level, l) in term.iter().enumerate() {
            check(level, images, *l)?;
        }
    }
    Ok(all)
}

/// How near what is remembered is, level by level, checked as [`terms`] are; `None` where nothing is.
pub(crate) fn nearness(
    images: usize,
    levels: &[LevelScores],
) -> Result<Vec<Option<TermLevel<'_>>>, ScoreError> {
    let mut all = Vec::with_capacity(levels.len());
    for (level, l) in levels.iter().enumerate() {
        let (height, width) = (l.height, l.width);
        let of = |values| TermLevel { values, height, width, temperature: 1.0 };
        let term = l.nearness.as_deref().map(of);
        term.map_or(Ok(()), |t| check(level, images, t))?;
        all.push(term);
    }
    Ok(all)
}

fn check(level: usize, images: usize, of: TermLevel) -> Result<(), ScoreError> {
    let (expected, found) = (images * of.height * of.width, of.values.len());
    if expected != found {
        return Err(ScoreError::Level { level, expected, found });
    }
    if !of.values.iter().all(|v| v.is_finite()) {
        return Err(ScoreError::NotFinite { level });
    }
    Ok(())
}

/// How normal each pixel of one image is: `exp((min(v, top) - top) / T)` a level with the term's temperature T, upsampled (bilinear,
/// aligned corners) to (size, size), summed over levels.
pub(crate) fn normality(levels: &[TermLevel], tops: &[f32], size: usize) -> Vec<f32> {
    let mut map = vec![0.0f32; size * size];
    for (l, top) in levels.iter().zip(tops) {
        let normal: Vec<f32> =
            l.values.iter().map(|v| ((v.min(*top) - top) / l.temperature).exp()).collect();
        let up = resize_bilinear_plane(&normal, l.height, l.width, size, size);
        map.iter_mut().zip(up).for_each(|(m, u)| *m += u);
    }
    map
}

/// `best - normality`, not below 0, through the Gaussian filter.
pub(crate) fn anomaly(mut normality: Vec<f32>, best: f32, config: &MapConfig) -> Vec<f32> {
    normality.iter_mut().for_each(|m| *m = (best - *m).max(0.0));
    gaussian_filter(&normality, config.size, config.size, config.sigma)
}
