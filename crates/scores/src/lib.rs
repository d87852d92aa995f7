//! From latents to anomaly maps and image scores.
//!
//! [`score_terms`] gives, for each position of a feature level, how likely its latent vector is
//! under its class and how sure its class is. A [`ScoreRule`] makes anomaly maps of these, and
//! [`image_score`] a number of a map. The published rule looks at a whole test set; a
//! [`ClassCalibration`] has the same form with constants from normal images that were set aside, and a
//! [`Reference`] turns its scores into conformal ones, comparable between classes, with thresholds.
//!
//! Invariant: this crate knows no losses and no data sets.

mod conformal;
mod deployed;
mod error;
mod gaussian_filter;
mod image_score;
mod paper_rule;
mod rule;
mod standardized;
mod term_map;
mod terms;

pub use conformal::{Reference, Threshold, conformal_rank, smallest_rate};
pub use deployed::{ClassCalibration, TermConstants, atypicality, class_margin};
pub use error::ScoreError;
pub use gaussian_filter::gaussian_filter;
pub use image_score::{image_score, soft_image_score};
pub use paper_rule::PaperRule;
pub use rule::{Constructor, Judged, LevelScores, MapConfig, ScoreRule, kinds, register, rule};
pub use standardized::{Normal, Peaks, StandardizedRule};
pub use term_map::Evidence;
pub use terms::{ScoreTerms, Wanted, class_evidence, score_terms};
