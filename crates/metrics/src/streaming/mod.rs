//! Metrics of test sets that do not fit in memory: scores are counted in fixed bins and dropped.
//!
//! A bin holds the scores that share the first bits of their order: bins are fixed before the first
//! score, need no range, and are as fine near zero as far from it (each splits every power of two
//! into equal parts). Memory does not depend on how many scores there are. What is lost is the order
//! within a bin, and that bounds the error, which every value comes with as an [`Estimate`]: a bound
//! that holds for any order, not a guess.
//!
//! ```
//! use hgad_metrics::streaming::{BinnedScores, Bins};
//!
//! let mut scores = BinnedScores::new(Bins::default());
//! scores.add(&[0.1, 0.4], &[false, false])?;
//! scores.add(&[0.35, 0.8], &[true, true])?;
//! let auroc = scores.auroc()?;
//! assert_eq!((auroc.value, auroc.error), (0.75, 0.0));
//! # Ok::<(), hgad_metrics::MetricError>(())
//! ```

mod binned_regions;
mod binned_scores;
mod bins;
mod estimate;

pub use binned_regions::BinnedRegions;
pub use binned_scores::BinnedScores;
pub use bins::Bins;
pub use estimate::Estimate;
