use crate::error::MetricError;
use crate::sweep::Sweep;

/// Area under the receiver operating characteristic of `scores` (n) against `labels` (n).
///
/// The probability that a random anomalous score exceeds a random normal one, ties counting one
/// half: the Mann-Whitney statistic U over the number of pairs (Hanley and McNeil, 1982). U is
/// counted in integers, so the only rounding is the last division. In 0..=1, 0.5 is chance.
///
/// # Errors
/// [`MetricError::LengthMismatch`], [`MetricError::NotFinite`], [`MetricError::NoPositives`],
/// [`MetricError::NoNegatives`].
pub fn auroc(scores: &[f32], labels: &[bool]) -> Result<f64, MetricError> {
    let sweep = Sweep::new(scores, labels, |_| ())?;
    sweep.require_negatives()?;
    Ok(of_sweep(&sweep))
}

pub(crate) fn of_sweep(sweep: &Sweep<()>) -> f64 {
    let twice_u: u128 = sweep
        .steps()
        .map(|s| {
            let below = sweep.negatives - s.fp;
            let tied = s.fp - s.fp_above;
            s.ties.len() as u128 * (2 * below + tied) as u128
        })
        .sum();
    let pairs = sweep.positives as u128 * sweep.negatives as u128;
    twice_u as f64 / (2 * pairs) as f64
}
