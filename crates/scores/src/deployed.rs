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
    /// Their [`atypicality`].
    #[serde(flatten)]
    pub atypicality: Usual,
    /// Their [`class_margin`]; none under a prior of one class or without any, and in models of earlier
    /// versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<Usual>,
}

/// Where a quantity of normal images lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usual {
    /// The median.
    pub typical: f64,
    /// Mean absolute deviation from it.
    pub spread: f64,
}

impl Usual {
    /// Of some values; `None` of none, and where one is not finite.
    pub fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() || !values.iter().all(|v| v.is_finite()) {
            return None;
        }
        let typical = median(values.to_vec());
        let deviation =
            values.iter().map(|v| (v - typical).abs()).sum::<f64>() / values.len() as f64;
        // Images that are all alike still differ in rounding.
        Some(Self { typical, spread: deviation.max(1e-4) })
    }

    /// How far above the median a value is, in deviations.
    pub fn above(&self, value: f64) -> f64 {
        (value - self.typical) / self.spread
    }
}

impl ClassCalibration {
    /// From the score terms of `images` normal images of the class, and the [`class_margin`] of each,
    /// if there are several classes.
    ///
    /// # Errors
    /// No images; levels that do not fit; values that are not finite; no entropy where the evidence
    /// looks at it.
    pub fn fit(
        evidence: Evidence,
        images: usize,
        levels: &[LevelScores],
        margins: Option<&[f64]>,
        config: &MapConfig,
    ) -> Result<Self, ScoreError> {
        if images == 0 {
            return Err(ScoreError::NothingToCalibrate);
        }
        let terms = terms(evidence, "deployed", images, levels)?;
        let constants: Vec<_> = terms.iter().map(|t| constants(images, t, config)).collect();
        let shifts: Vec<f64> = (0..images).map(|i| atypicality(levels, i)).collect();
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
            atypicality: Usual::of(&shifts).ok_or_else(nothing)?,
            margin: margins.and_then(Usual::of),
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

    /// How unlike the class's images an image is as a whole, in deviations; high is foreign: its
    /// [`atypicality`] is higher than theirs, or its [`class_margin`] lower, whichever says more.
    pub fn foreignness(&self, atypicality: f64, margin: Option<f64>) -> f64 {
        let unlikely = self.atypicality.above(atypicality);
        let undecided = self.margin.zip(margin).map(|(usual, margin)| -usual.above(margin));
        undecided.map_or(unlikely, |undecided| unlikely.max(undecided))
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

/// How much more the `positions` vectors of an image speak for `class` than for the best other one, in
/// nats a position, from its [`class_evidence`](crate::class_evidence) of all levels, (C). An image of
/// something else may be no less likely under its nearest class than that class's own images; but they
/// are far from all other classes, and it is between them. `None` where there is no other class.
pub fn class_margin(evidence: &[f64], class: usize, positions: usize) -> Option<f64> {
    let own = evidence.get(class)?;
    let others = evidence.iter().enumerate().filter(|(k, _)| *k != class).map(|(_, e)| *e);
    let best = others.reduce(f64::max)?;
    Some((own - best) / positions.max(1) as f64)
}

/// The lower of two middle values; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(likelihoods: &[f32]) -> Vec<LevelScores> {
        // An image a value, the same at each of its four positions.
        let likelihood = likelihoods.iter().flat_map(|v| [*v; 4]).collect();
        vec![LevelScores { height: 2, width: 2, likelihood, ..Default::default() }]
    }

    #[test]
    fn an_image_is_foreign_that_is_unlikely_or_undecided() {
        let levels = levels(&[-1.0, -1.2, -0.8, -1.1, -0.9]);
        let margins = [4.0, 4.5, 5.0, 5.5, 6.0];
        let config = MapConfig { size: 4, sigma: 0.0, top: 0.0 };
        let fit =
            |margins| ClassCalibration::fit(Evidence::Likelihood, 5, &levels, margins, &config);
        let c = fit(Some(&margins)).unwrap();
        // Medians 1 and 5, mean absolute deviations 0.12 and 0.6.
        let is = |a: f64, m: Option<f64>, expected: f64| {
            let found = c.foreignness(a, m);
            assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
        };
        is(1.24, Some(5.0), 2.0);
        is(1.0, Some(3.2), 3.0);
        is(1.6, Some(3.2), 5.0);
        // Likelier and surer than usual is not foreign.
        is(0.88, Some(5.6), -1.0);
        is(1.12, None, 1.0);
        // One class has no margin, and what was stored before there was one is read.
        let alone = fit(None).unwrap();
        assert_eq!((alone.margin, alone.foreignness(1.0, Some(0.0)) < 1e-3), (None, true));
    }

    #[test]
    fn margins_are_over_the_best_other_class() {
        let evidence = [-10.0, -40.0, -18.0];
        assert_eq!(class_margin(&evidence, 0, 4), Some(2.0));
        assert_eq!(class_margin(&evidence, 1, 4), Some(-7.5));
        assert_eq!(class_margin(&evidence[..1], 0, 4), None);
        assert_eq!(class_margin(&[], 0, 4), None);
        assert_eq!(class_margin(&evidence, 3, 4), None);
    }
}
