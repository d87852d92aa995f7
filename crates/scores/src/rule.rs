//! The interface of every way to make anomaly maps, and the rules by name.

use crate::ScoreError;
use crate::image_score::{image_score, soft_image_score};
use crate::paper_rule::PaperRule;
use crate::standardized::{Normal, StandardizedRule};
use crate::term_map::Evidence;
use hgad_registry::Registry;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Score terms of one feature level for some images of one class, positions row-major.
#[derive(Clone, Debug, Default)]
pub struct LevelScores {
    /// Rows of the map.
    pub height: usize,
    /// Columns of the map.
    pub width: usize,
    /// Images times height times width.
    pub likelihood: Vec<f32>,
    /// As `likelihood`; `None` under a prior without classes.
    pub neg_entropy: Option<Vec<f32>>,
    /// As `likelihood`; `None` under a prior that remembers nothing.
    pub nearness: Option<Vec<f32>>,
    /// What is usual in normal images of each image's class, one an image; empty where the rule does
    /// not need it.
    pub normal: Vec<Normal>,
}

impl LevelScores {
    /// Those of the `i`-th image alone.
    pub fn image(&self, i: usize) -> Self {
        let positions = self.height * self.width;
        let own = |v: &Vec<f32>| v[i * positions..][..positions].to_vec();
        Self {
            likelihood: own(&self.likelihood),
            neg_entropy: self.neg_entropy.as_ref().map(own),
            nearness: self.nearness.as_ref().map(own),
            normal: self.normal.get(i).cloned().into_iter().collect(),
            ..*self
        }
    }
}

/// How score terms become pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MapConfig {
    /// Side of the square maps, pixels.
    pub size: usize,
    /// Standard deviation of the Gaussian filter, pixels; 0 for none.
    pub sigma: f64,
    /// Share of a map's values, the largest, whose mean is the image score; 0 for the largest alone.
    #[serde(default)]
    pub top: f64,
    /// Sharpness of the soft maximum over a map's values that is the image score; 0 for the mean of the
    /// largest, [`MapConfig::top`].
    #[serde(default)]
    pub soft: f64,
    /// What the log-likelihood and the negative entropy are divided by before they are exponentials, by the
    /// rules that take exponentials of them; 1 in the paper.
    #[serde(default = "untempered")]
    pub temperatures: [f64; 2],
    /// Image sizes that the levels are of, as many levels each, the largest first.
    #[serde(default = "one_size")]
    pub sizes: usize,
    /// Weight of the levels of one size over those of the next larger, for the standardized rule; 1 where all
    /// count alike.
    #[serde(default = "alike")]
    pub coarser: f64,
    /// How much of what lifts all positions of an image at once is left out of its map, from 0 to 1, by the
    /// standardized rule.
    #[serde(default)]
    pub relative: f64,
    /// How many times as much as likelihood the nearness of what the prior remembers counts in the score of an
    /// image, by the standardized rule; both count alike in its pixels.
    #[serde(default = "alike")]
    pub nearness: f64,
    /// Which of the sizes, from the largest, images of a class have by nature, for [`Normal::fit`]: what is
    /// magnified beyond it counts less, too.
    #[serde(default)]
    pub native: usize,
}

fn one_size() -> usize {
    1
}

fn alike() -> f64 {
    1.0
}

fn untempered() -> [f64; 2] {
    [1.0; 2]
}

impl MapConfig {
    /// The score of an image from its map.
    pub fn image_score(&self, map: &[f32]) -> f32 {
        match self.soft > 0.0 {
            true => soft_image_score(map, self.soft),
            false => image_score(map, self.top),
        }
    }

    /// Weight of the `level`-th of `levels`, from 0, for images that have the `native`-th size by nature: one
    /// at it, and less for each step from it.
    pub fn weight(&self, level: usize, levels: usize, native: usize) -> f64 {
        let size = level * self.sizes / levels.max(1);
        self.coarser.powi(size.abs_diff(native) as i32)
    }
}

impl Default for MapConfig {
    /// The paper's: 256 pixels, sigma 4, the largest value.
    fn default() -> Self {
        Self {
            size: 256,
            sigma: 4.0,
            top: 0.0,
            soft: 0.0,
            temperatures: untempered(),
            sizes: 1,
            coarser: 1.0,
            relative: 0.0,
            nearness: 1.0,
            native: 0,
        }
    }
}

/// What a rule says of some images.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// An image score each; high is anomalous.
    pub scores: Vec<f32>,
    /// Their maps, (size, size) each, one after the other.
    pub maps: Vec<f32>,
}

// ANCHOR: interface
/// Makes anomaly maps: images times size times size, high where anomalous.
pub trait ScoreRule: Send + Sync {
    /// Its name in configurations.
    fn name(&self) -> &'static str;

    /// Whether it needs a class posterior, and so a prior with classes.
    fn needs_classes(&self) -> bool {
        false
    }

    /// Whether it needs [`LevelScores::normal`], the moments of normal images.
    fn needs_normal(&self) -> bool {
        false
    }

    /// Maps of `images` images of one class from the levels of their score terms.
    ///
    /// # Errors
    /// Levels of other sizes than they say; values that are not finite; no class posterior
    /// where the rule needs one.
    fn maps(
        &self,
        images: usize,
        levels: &[LevelScores],
        config: &MapConfig,
    ) -> Result<Vec<f32>, ScoreError>;

    /// Those maps, and the score of each image: the [`image_score`] of its map, where the rule has no other.
    ///
    /// # Errors
    /// As [`ScoreRule::maps`].
    fn judge(
        &self,
        images: usize,
        levels: &[LevelScores],
        config: &MapConfig,
    ) -> Result<Judged, ScoreError> {
        let maps = self.maps(images, levels, config)?;
        let of_images = maps.par_chunks((config.size * config.size).max(1));
        Ok(Judged { scores: of_images.map(|m| config.image_score(m)).collect(), maps })
    }
}
// ANCHOR_END: interface

/// Makes a rule.
pub type Constructor = fn() -> Box<dyn ScoreRule>;

/// One line a rule.
static REGISTRY: Registry<Constructor> = Registry::new(&[
    ("product", || Box::new(PaperRule(Evidence::Product))),
    ("sum", || Box::new(PaperRule(Evidence::Sum))),
    ("likelihood", || Box::new(PaperRule(Evidence::Likelihood))),
    ("entropy", || Box::new(PaperRule(Evidence::Entropy))),
    ("standardized", || Box::new(StandardizedRule)),
]);

/// The names that [`rule`] knows.
pub fn kinds() -> Vec<String> {
    REGISTRY.names()
}

/// Adds a rule of another crate, for [`rule`] to find from then on in this process.
///
/// # Errors
/// The name is taken.
pub fn register(name: &str, constructor: Constructor) -> Result<(), ScoreError> {
    Ok(REGISTRY.register(name, constructor)?)
}

/// The rule of that name.
///
/// # Errors
/// An unknown name.
pub fn rule(kind: &str) -> Result<Box<dyn ScoreRule>, ScoreError> {
    match REGISTRY.get(kind) {
        Some(make) => Ok(make()),
        None => Err(ScoreError::Kind { kind: kind.into(), known: kinds().join(", ") }),
    }
}
