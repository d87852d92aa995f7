//! Exact metrics of anomaly detection: AUROC, average precision, F1-max and AUPRO, and the curves
//! behind them.
//!
//! Slices in, numbers out: a score is an `f32` (higher is more anomalous), a label a `bool`
//! (`true` is anomalous), a result an `f64`. Nothing is binned or sampled: ties count as the
//! definitions say, and counts are integers until the last division. All functions sort once, with
//! a parallel radix sort, so that the pixels of a whole test set cost milliseconds, in memory that
//! grows as the scores do. For test sets that do not fit there is [`streaming`], which does bin and
//! says how far off it can be.
//!
//! ```
//! let scores = [0.1, 0.4, 0.35, 0.8];
//! let labels = [false, false, true, true];
//! assert_eq!(hgad_metrics::auroc(&scores, &labels)?, 0.75);
//! # Ok::<(), hgad_metrics::MetricError>(())
//! ```

mod aupro;
mod auroc;
mod average_precision;
mod binary;
mod curves;
mod error;
mod f1_max;
mod precision_recall;
mod radix_sort;
mod regions;
mod roc;
pub mod streaming;
mod sweep;

pub use aupro::aupro;
pub use auroc::auroc;
pub use average_precision::average_precision;
pub use binary::{BinaryMetrics, binary_metrics};
pub use curves::{Curves, curves};
pub use error::MetricError;
pub use f1_max::{F1Max, f1_max};
pub use precision_recall::PrecisionRecallPoint;
pub use regions::{Regions, label_regions};
pub use roc::RocPoint;
