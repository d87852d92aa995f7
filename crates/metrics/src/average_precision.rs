use crate::error::MetricError;
use crate::sweep::Sweep;

/// Average precision of `scores` (n) against `labels` (n): the sum over distinct thresholds, from
/// high to low, of `(R_k - R_{k-1}) P_k` with recall `R` and precision `P`, without interpolation.
///
/// This is scikit-learn's `average_precision_score`. In 0..=1; chance is the share of anomalies.
///
/// # Errors
/// [`MetricError::LengthMismatch`], [`MetricError::NotFinite`], [`MetricError::NoPositives`].
pub fn average_precision(scores: &[f32], labels: &[bool]) -> Result<f64, MetricError> {
    Ok(of_sweep(&Sweep::new(scores, labels, |_| ())?))
}

pub(crate) fn of_sweep(sweep: &Sweep<()>) -> f64 {
    let total: f64 =
        sweep.steps().map(|s| s.ties.len() as f64 * s.tp as f64 / (s.tp + s.fp) as f64).sum();
    total / sweep.positives as f64
}
