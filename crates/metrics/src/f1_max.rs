use crate::error::MetricError;
use crate::sweep::Sweep;

/// The best F1 over all thresholds, and where it is reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct F1Max {
    /// The harmonic mean of precision and recall, in 0..=1.
    pub f1: f64,
    /// The highest threshold that reaches it: a score is called anomalous when `score >= threshold`.
    pub threshold: f32,
}

/// The maximum over all thresholds of F1 of `scores` (n) against `labels` (n).
///
/// The maximum of `2PR / (P + R)` over scikit-learn's `precision_recall_curve`. The threshold
/// is chosen with the labels in hand, so it is a bound on what a deployed threshold can reach.
///
/// # Errors
/// [`MetricError::LengthMismatch`], [`MetricError::NotFinite`], [`MetricError::NoPositives`].
pub fn f1_max(scores: &[f32], labels: &[bool]) -> Result<F1Max, MetricError> {
    Ok(of_sweep(&Sweep::new(scores, labels, |_| ())?))
}

pub(crate) fn of_sweep(sweep: &Sweep<()>) -> F1Max {
    let start = F1Max { f1: 0.0, threshold: f32::INFINITY };
    sweep.steps().fold(start, |best, s| {
        let f1 = 2.0 * s.tp as f64 / (s.tp + s.fp + sweep.positives) as f64;
        match f1 > best.f1 {
            true => F1Max { f1, threshold: s.threshold },
            false => best,
        }
    })
}
