//! The deployable rule: the paper's form with constants from normal images, and scores that mean the same
//! in every class.
//!
//! Constants come from images that were trained on, scores of reference from others that were held out.
//! Were both from the same images, a new one would not be exchangeable with them, and a conformal threshold
//! would promise less than it says.

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

/// The share of the usual margin below which an image is not decidedly of its class: midway between
/// what images of the class have, and what an image has that is of no class in particular.
const DECIDED: f64 = 0.5;
/// In deviations: more than any image that is decided has.
const BEYOND: f64 = 1e4;

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
    /// Image scores of the images of reference.
    pub scores: Reference,
    /// Median of [`atypicality`] over those that the constants are from.
    pub typical: f64,
    /// Mean absolute deviation from it.
    pub spread: f64,
    /// Median of [`class_margin`] over them; none where there is no other class to tell them from, and in
    /// models of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<f64>,
}

impl ClassCalibration {
    /// Constants, and scores of reference until [`ClassCalibration::with_reference`] gives others, from the
    /// score terms of `images` normal images of the class, and the [`class_margin`] of each,
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
        let terms = terms(evidence, "deployed", images, levels, config.temperatures)?;
        let constants: Vec<_> = terms.iter().map(|t| constants(images, t, config)).collect();
        let shifts: Vec<f64> = (0..images).map(|i| atypicality(levels, i)).collect();
        let typical = median(shifts.clone());
        let deviation = shifts.iter().map(|s| (s - typical).abs()).sum::<f64>() / images as f64;
        let nothing = || ScoreError::NothingToCalibrate;
        let normal = match evidence {
            Evidence::Standardized => Normal::fit(images, levels, config)?,
            _ => Vec::new(),
        };
        let mut all = Self {
            terms: constants,
            normal,
            scores: Reference::new(vec![0.0]).ok_or_else(nothing)?,
            typical,
            // Images that are all alike still differ in rounding.
            spread: deviation.max(1e-4),
            // Classes that cannot be told apart tell nothing of others either.
            margin: margins.map(|m| median(m.to_vec())).filter(|m| *m > 0.0),
        };
        all.scores = all.scores_of(evidence, images, levels, config)?;
        Ok(all)
    }

    /// The same constants with the scores of other normal images of the class: the images of a conformal
    /// threshold, which no constant may come from.
    ///
    /// # Errors
    /// As [`ClassCalibration::fit`].
    pub fn with_reference(
        mut self,
        evidence: Evidence,
        images: usize,
        levels: &[LevelScores],
        config: &MapConfig,
    ) -> Result<Self, ScoreError> {
        self.scores = self.scores_of(evidence, images, levels, config)?;
        Ok(self)
    }

    fn scores_of(
        &self,
        evidence: Evidence,
        images: usize,
        levels: &[LevelScores],
        config: &MapConfig,
    ) -> Result<Reference, ScoreError> {
        let of = |i: usize| {
            let own: Vec<LevelScores> = levels.iter().map(|l| l.image(i)).collect();
            Ok(self.judge(evidence, &own, config)?.0)
        };
        let scores = (0..images).into_par_iter().map(of).collect::<Result<_, ScoreError>>()?;
        Reference::new(scores).ok_or(ScoreError::NothingToCalibrate)
    }

    /// The score of one image and its anomaly map (size, size), from its score terms: the paper's form with
    /// these constants, or the standardized rule's. Only differences and ratios within the class mean anything.
    ///
    /// # Errors
    /// As [`ClassCalibration::fit`].
    pub fn judge(
        &self,
        evidence: Evidence,
        levels: &[LevelScores],
        config: &MapConfig,
    ) -> Result<(f32, Vec<f32>), ScoreError> {
        if evidence == Evidence::Standardized {
            return standardized(levels, &self.normal, config);
        }
        let terms = terms(evidence, "deployed", 1, levels, config.temperatures)?;
        let map = map(evidence, &self.terms, &terms, 0, config);
        Ok((config.image_score(&map), map))
    }

    /// How unlike the class's images an image is as a whole; high is foreign. It is how far its
    /// [`atypicality`] is from theirs, in deviations; and an image whose [`class_margin`] is less than
    /// half of theirs lies beyond all that is decided.
    pub fn foreignness(&self, atypicality: f64, margin: Option<f64>) -> f64 {
        let unlikely = (atypicality - self.typical) / self.spread;
        match self.margin.zip(margin).map(|(usual, margin)| DECIDED - margin / usual) {
            Some(short) if short > 0.0 => BEYOND * (1.0 + short) + unlikely.clamp(0.0, BEYOND),
            _ => unlikely,
        }
    }
}

/// One image by the standardized rule, whose constants are those of every rule of its kind.
fn standardized(
    levels: &[LevelScores],
    normal: &[Normal],
    config: &MapConfig,
) -> Result<(f32, Vec<f32>), ScoreError> {
    let with =
        |(l, n): (&LevelScores, &Normal)| LevelScores { normal: vec![n.clone()], ..l.clone() };
    let levels: Vec<LevelScores> = levels.iter().zip(normal).map(with).collect();
    let judged = StandardizedRule.judge(1, &levels, config)?;
    Ok((judged.scores[0], judged.maps))
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
        let config = MapConfig { size: 4, sigma: 0.0, ..MapConfig::default() };
        let fit = |margins: Option<&[f64]>| {
            ClassCalibration::fit(Evidence::Likelihood, 5, &levels, margins, &config).unwrap()
        };
        let c = fit(Some(&[4.0, 4.5, 5.0, 5.5, 6.0]));
        assert_eq!(c.margin, Some(5.0));
        // Median 1, mean absolute deviation 0.12: as long as it is decided, the margin does not count.
        for margin in [None, Some(2.6), Some(9.0)] {
            for (atypicality, expected) in [(1.24, 2.0), (0.88, -1.0)] {
                let found = c.foreignness(atypicality, margin);
                assert!((found - expected).abs() < 1e-4, "{margin:?}: {found} is not {expected}");
            }
        }
        // Undecided ones are beyond all others, the less decided the farther.
        let order = [
            c.foreignness(100.0, Some(5.0)),
            c.foreignness(0.0, Some(2.4)),
            c.foreignness(1.24, Some(2.4)),
            c.foreignness(1.0, Some(0.0)),
            c.foreignness(1.0, Some(-3.0)),
        ];
        assert!(order.is_sorted_by(|a, b| a < b), "{order:?}");
        // Without other classes, and where they cannot be told apart, there is no margin.
        for none in [fit(None), fit(Some(&[-1.0; 5]))] {
            assert_eq!(none.margin, None);
            assert!((none.foreignness(1.12, Some(0.0)) - 1.0).abs() < 1e-4);
        }
    }

    #[test]
    fn the_images_of_reference_move_no_constant() {
        let config = MapConfig { size: 4, sigma: 0.0, ..MapConfig::default() };
        for evidence in [Evidence::Likelihood, Evidence::Standardized] {
            let usual = levels(&[-1.0, -1.2, -0.8, -1.1, -0.9]);
            let fitted = ClassCalibration::fit(evidence, 5, &usual, None, &config).unwrap();
            // The last lies far beyond what the constants have seen.
            let held_out = levels(&[-1.05, -1.3, -9.0]);
            let judged = fitted.clone().with_reference(evidence, 3, &held_out, &config).unwrap();
            let scores = judged.scores.values().to_vec();
            assert_eq!(scores.len(), 3);
            assert_eq!(
                ClassCalibration { scores: fitted.scores.clone(), ..judged.clone() },
                fitted
            );
            // An image among them and the same image anew get one score: they are exchangeable.
            let again = judged.judge(evidence, &[held_out[0].image(2)], &config).unwrap();
            assert_eq!(again.0, scores[2]);
            assert!(scores[2] > scores[1] && scores[1] > scores[0], "{scores:?}");
        }
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
