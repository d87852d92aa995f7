//! What can go wrong in scoring.

use hgad_priors::PriorError;

/// An error that names what is at fault.
#[derive(Debug, thiserror::Error)]
pub enum ScoreError {
    /// Levels that do not belong together.
    #[error("score terms of level {level}: expected {expected} values, got {found}")]
    Level {
        /// Which level.
        level: usize,
        /// Images times positions.
        expected: usize,
        /// Values given.
        found: usize,
    },
    /// The standardized rule without what it standardizes by.
    #[error(
        "level {level}: the score `standardized` needs the moments of normal images for each of {images} images, got {found}"
    )]
    Normal {
        /// Which level.
        level: usize,
        /// Images to score.
        images: usize,
        /// Moments given.
        found: usize,
    },
    /// A rule asks for an entropy that the prior cannot give.
    #[error(
        "the score `{rule}` needs the class posterior, and a prior without classes has none; use score.rule = \"likelihood\""
    )]
    NoEntropy {
        /// Name of the rule.
        rule: &'static str,
    },
    /// A class is to be inferred under a prior that has none.
    #[error(
        "the class of an image cannot be inferred under a prior without classes; use score.class = \"given\""
    )]
    NoClasses,
    /// Not a number where a score is expected.
    #[error(
        "level {level} has a score that is not a number; the model has diverged or its input is not finite"
    )]
    NotFinite {
        /// Which level.
        level: usize,
    },
    /// A class without images to calibrate on.
    #[error(
        "a class has no normal image to calibrate its scores on; every class needs at least one"
    )]
    NothingToCalibrate,
    /// A name that no rule has.
    #[error("unknown score rule `{kind}`; known: {known}")]
    Kind {
        /// The name.
        kind: String,
        /// Those that exist.
        known: String,
    },
    /// A name that is registered already.
    #[error(transparent)]
    Taken(#[from] hgad_registry::Taken),
    /// From the prior.
    #[error(transparent)]
    Prior(#[from] PriorError),
    /// From candle.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
