//! From latents to anomaly maps and image scores.
//!
//! [`score_terms`] gives, for each position of a feature level, how likely its latent vector is
//! under its class and how sure its class is. A [`ScoreRule`] makes anomaly maps of these, and
//! [`image_score`] a number of a map.
//!
//! Invariant: this crate knows no losses and no data sets.

mod error;
mod gaussian_filter;
mod image_score;
mod paper_rule;
mod rule;
mod terms;

pub use error::ScoreError;
pub use gaussian_filter::gaussian_filter;
pub use image_score::image_score;
pub use paper_rule::{Evidence, PaperRule};
pub use rule::{Constructor, LevelScores, MapConfig, ScoreRule, kinds, register, rule};
pub use terms::{ScoreTerms, class_evidence, score_terms};
