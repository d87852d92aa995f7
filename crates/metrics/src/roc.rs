use crate::sweep::Sweep;

/// A vertex of the receiver operating characteristic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RocPoint {
    /// Share of normal scores at or above a threshold.
    pub false_positive_rate: f64,
    /// Share of anomalous scores at or above it.
    pub true_positive_rate: f64,
}

/// The curve from (0, 0) to (1, 1): joined by straight lines it is exact where all vertices are
/// kept. At most `points` are (at least 2): one is left out where its distance along the curve from
/// the last kept one, which is 2 in all, is below `2 / (points - 2)`.
pub(crate) fn of_sweep(sweep: &Sweep<()>, points: usize) -> Vec<RocPoint> {
    let (positives, negatives) = (sweep.positives as f64, sweep.negatives as f64);
    let point = |fp: u64, tp: u64| RocPoint {
        false_positive_rate: fp as f64 / negatives,
        true_positive_rate: tp as f64 / positives,
    };
    let apart = 2.0 / points.saturating_sub(2).max(1) as f64;
    // Few vertices are all kept, however close they lie.
    let all = 2 * sweep.steps().take(points).count() + 2 <= points;
    let mut out = vec![point(0, 0)];
    let mut add = |p: RocPoint| {
        let last = out[out.len() - 1];
        let way = p.false_positive_rate - last.false_positive_rate + p.true_positive_rate
            - last.true_positive_rate;
        if way > 0.0 && (all || way >= apart) {
            out.push(p);
        }
    };
    for s in sweep.steps() {
        // False positives since the step before come first: a level stretch, then the rise.
        add(point(s.fp_above, s.tp - s.ties.len() as u64));
        add(point(s.fp, s.tp));
    }
    let end = point(sweep.negatives, sweep.positives);
    if out[out.len() - 1] != end {
        out.push(end);
    }
    out
}
