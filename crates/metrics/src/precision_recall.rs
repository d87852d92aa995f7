use crate::sweep::Sweep;

/// A vertex of the precision-recall curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PrecisionRecallPoint {
    /// Share of anomalous scores at or above the threshold.
    pub recall: f64,
    /// Share of the scores at or above the threshold that are anomalous.
    pub precision: f64,
    /// The score of an anomalous label.
    pub threshold: f32,
}

/// Precision at every recall that a threshold reaches, from the highest threshold to the lowest: at
/// each, the best precision. Between vertices the curve is a step, as average precision sums it.
/// At most `points` are kept (at least 2): one is left out where its recall is less than
/// `1 / (points - 2)` above the last kept one's, but the first and the last never.
pub(crate) fn of_sweep(sweep: &Sweep<()>, points: usize) -> Vec<PrecisionRecallPoint> {
    let apart = 1.0 / points.saturating_sub(2).max(1) as f64;
    let all = sweep.steps().take(points + 1).count() <= points;
    let mut out: Vec<PrecisionRecallPoint> = Vec::new();
    for s in sweep.steps() {
        let p = PrecisionRecallPoint {
            recall: s.tp as f64 / sweep.positives as f64,
            precision: s.tp as f64 / (s.tp + s.fp) as f64,
            threshold: s.threshold,
        };
        let near = out.last().is_some_and(|last| p.recall - last.recall < apart);
        if all || !near || s.tp == sweep.positives {
            out.push(p);
        }
    }
    out
}
