//! The deployable rule: the paper's form with constants from normal images that were set aside, and
//! scores that mean the same in every class.

use crate::ScoreError;
use crate::conformal::Reference;
use crate::image_score::image_score;
use crate::rule::{LevelScores, MapConfig, ScoreRule};
use crate::standardized::{Normal, StandardizedRule};
use crate::term_map::{Evidence, TermLevel, anomaly, normality, terms};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The share of a level's values that lie below its top: a maximum, but for one in a thousand.
const TOP: f64 = 0.999;

/// The constants of one term for one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TermConstants {
    /// By level: values at and above it count as wholly normal.
    pub tops: Vec<f32>,
    /// The largest sum over levels.
    pub best: f32,
}

/// All that scoring an image of one class needs beside the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassCalibration {
    /// Of the terms that the evidence looks at: likelihood first, then entropy.
    pub terms: Vec<TermConstants>,
    /// What is usual in them, by level: the standardized rule's constants, and none of another's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub normal: Vec<Normal>,
    /// Image scores (largest values of their maps) of the calibration images.
    pub scores: Reference,
    /// Median of [`atypicality`] over them.
    pub typical: f64,
    /// Mean absolute deviation from it.
    pub spread: f64,
}

impl ClassCalibration {
    /// From the score terms of `images` normal images of the class.
    ///
    /// # Errors
    /// No images; levels that do not fit; values that are not finite; no entropy where the evidence
    /// looks at it.
    pub fn fit(
        evidence: Evidence,
        images: usize,
        levels: &[LevelScores],
        config: &MapConfig,
    ) -> Result<Self, ScoreError> {
        if images == 0 {
            return Err(ScoreError::NothingToCalibrate);
        }
        let terms = terms(evidence, "deployed", images, levels)?;
        let constants: Vec<_> = terms.iter().map(|t| constants(images, t, config)).collect();
        let shifts: Vec<f64> = (0..images).map(|i| atypicality(levels, i)).collect();
        let typical = median(shifts.clone());
        let deviation = shifts.iter().map(|s| (s - typical).abs()).sum::<f64>() / images as f64;
        let nothing = || ScoreError::NothingToCalibrate;
        let normal = match evidence {
            Evidence::Standardized => Normal::fit(images, levels, config)?,
            _ => Vec::new(),
        };
        let scores: Vec<f32> = (0..images)
            .into_par_iter()
            .map(|i| match evidence {
                Evidence::Standardized => {
                    let own: Vec<LevelScores> = levels.iter().map(|l| l.image(i)).collect();
                    Ok(image_score(&standardized(&own, &normal, config)?, config.top))
                }
                _ => Ok(image_score(&map(evidence, &constants, &terms, i, config), config.top)),
            })
            .collect::<Result<_, ScoreError>>()?;
        Ok(Self {
            terms: constants,
            normal,
            scores: Reference::new(scores).ok_or_else(nothing)?,
            typical,
            // Images that are all alike still differ in rounding.
            spread: deviation.max(1e-4),
        })
    }

    /// The anomaly map (size, size) of one image from its score terms: the paper's form with these
    /// constants. Only differences and ratios within the class mean anything.
    ///
    /// # Errors
    /// As [`ClassCalibration::fit`].
    pub fn map(
        &self,
        evidence: Evidence,
        levels: &[LevelScores],
        config: &MapConfig,
    ) -> Result<Vec<f32>, ScoreError> {
        if evidence == Evidence::Standardized {
            return standardized(levels, &self.normal, config);
        }
        let terms = terms(evidence, "deployed", 1, levels)?;
        Ok(map(evidence, &self.terms, &terms, 0, config))
    }

    /// How far an image's [`atypicality`] is from the class's, in deviations; high is foreign.
    pub fn foreignness(&self, atypicality: f64) -> f64 {
        (atypicality - self.typical) / self.spread
    }
}

/// The map of one image by the standardized rule, whose constants are those of every rule of its kind.
fn standardized(
    levels: &[LevelScores],
    normal: &[Normal],
    config: &MapConfig,
) -> Result<Vec<f32>, ScoreError> {
    let with =
        |(l, n): (&LevelScores, &Normal)| LevelScores { normal: vec![n.clone()], ..l.clone() };
    let levels: Vec<LevelScores> = levels.iter().zip(normal).map(with).collect();
    StandardizedRule.maps(1, &levels, config)
}

/// The map of the `image`-th image of `terms`.
fn map(
    evidence: Evidence,
    constants: &[TermConstants],
    terms: &[Vec<TermLevel>],
    image: usize,
    config: &MapConfig,
) -> Vec<f32> {
    let maps = terms.iter().zip(constants).map(|(term, c)| {
        let own: Vec<TermLevel> = term.iter().map(|l| l.image(image)).collect();
        anomaly(normality(&own, &c.tops, config.size), c.best, config)
    });
    evidence.combine(maps.collect())
}

/// Tops and best of one term.
fn constants(images: usize, levels: &[TermLevel], config: &MapConfig) -> TermConstants {
    let tops: Vec<f32> = levels
        .iter()
        .map(|l| {
            let mut sorted = l.values.to_vec();
            sorted.sort_unstable_by(f32::total_cmp);
            sorted[((sorted.len() - 1) as f64 * TOP).floor() as usize]
        })
        .collect();
    let best = (0..images)
        .into_par_iter()
        .map(|i| {
            let own: Vec<TermLevel> = levels.iter().map(|l| l.image(i)).collect();
            image_score(&normality(&own, &tops, config.size), 0.0)
        })
        .reduce(|| f32::NEG_INFINITY, f32::max);
    TermConstants { tops, best }
}

/// How unlikely the `image`-th image is as a whole under the class it was scored as: minus the median
/// over positions of the log-likelihood per dimension, in nats, mean over levels. A defect covers less
/// than half of an image, and moves no median far; an image of something else moves it wholly.
pub fn atypicality(levels: &[LevelScores], image: usize) -> f64 {
    let of = |l: &LevelScores| {
        let positions = l.height * l.width;
        let own = &l.likelihood[image * positions..][..positions];
        -median(own.iter().map(|v| *v as f64).collect())
    };
    levels.iter().map(of).sum::<f64>() / levels.len().max(1) as f64
}

/// The lower of two middle values; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}
