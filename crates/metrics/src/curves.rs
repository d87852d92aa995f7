use crate::error::MetricError;
use crate::sweep::Sweep;
use crate::{F1Max, PrecisionRecallPoint, RocPoint, f1_max, precision_recall, roc};

/// The curves of one list of scores, to be drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Curves {
    /// From (0, 0) to (1, 1), to be joined by straight lines.
    pub roc: Vec<RocPoint>,
    /// From the lowest recall to 1, to be joined by steps: precision holds back to the recall before.
    pub precision_recall: Vec<PrecisionRecallPoint>,
    /// The best F1 and its threshold.
    pub best: F1Max,
}

/// ROC and precision-recall curve of `scores` (n) against `labels` (n), sorting once.
///
/// Curves with more than `points` vertices are thinned to at most so many (but never below 2),
/// evenly along the ROC and in recall; the vertices that are kept are exact.
///
/// # Errors
/// [`MetricError::LengthMismatch`], [`MetricError::NotFinite`], [`MetricError::NoPositives`],
/// [`MetricError::NoNegatives`].
pub fn curves(scores: &[f32], labels: &[bool], points: usize) -> Result<Curves, MetricError> {
    let sweep = Sweep::new(scores, labels, |_| ())?;
    sweep.require_negatives()?;
    Ok(Curves {
        roc: roc::of_sweep(&sweep, points),
        precision_recall: precision_recall::of_sweep(&sweep, points),
        best: f1_max::of_sweep(&sweep),
    })
}
