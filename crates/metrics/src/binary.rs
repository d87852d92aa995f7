use crate::error::MetricError;
use crate::sweep::Sweep;
use crate::{auroc, average_precision, f1_max};

/// The metrics of one list of scores that need no geometry.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BinaryMetrics {
    /// See [`crate::auroc()`].
    pub auroc: f64,
    /// Average precision, see [`crate::average_precision()`].
    pub ap: f64,
    /// See [`crate::f1_max()`].
    pub f1_max: f64,
    /// The highest threshold that reaches `f1_max`: anomalous when `score >= f1_threshold`.
    pub f1_threshold: f32,
}

/// AUROC, average precision and F1-max of `scores` (n) against `labels` (n), sorting once.
///
/// # Errors
/// [`MetricError::LengthMismatch`], [`MetricError::NotFinite`], [`MetricError::NoPositives`],
/// [`MetricError::NoNegatives`].
pub fn binary_metrics(scores: &[f32], labels: &[bool]) -> Result<BinaryMetrics, MetricError> {
    let sweep = Sweep::new(scores, labels, |_| ())?;
    sweep.require_negatives()?;
    let best = f1_max::of_sweep(&sweep);
    Ok(BinaryMetrics {
        auroc: auroc::of_sweep(&sweep),
        ap: average_precision::of_sweep(&sweep),
        f1_max: best.f1,
        f1_threshold: best.threshold,
    })
}
