//! Split conformal thresholds and scores: what held-out normal images say of a new one.

use serde::{Deserialize, Serialize};

/// Which of `n` held-out scores, sorted upwards and counted from 1, is the threshold of a
/// false-alarm rate: `k = ceil((n + 1)(1 - rate))`. `None` where `k > n`: `n` scores support no rate
/// below [`smallest_rate`]. (Vovk et al., Algorithmic Learning in a Random World, 2005; Papadopoulos
/// et al., Inductive confidence machines, 2002.)
pub fn conformal_rank(n: usize, rate: f64) -> Option<usize> {
    // Counted from the top, so that rates such as 1/20 are not lost to rounding.
    let above = ((n + 1) as f64 * rate + 1e-9).floor() as usize;
    (above > 0 && n > 0).then(|| (n + 1).saturating_sub(above).max(1))
}

/// The smallest false-alarm rate that `n` held-out scores can promise: `1 / (n + 1)`.
pub fn smallest_rate(n: usize) -> f64 {
    1.0 / (n + 1) as f64
}

/// A limit that a normal image exceeds at some rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Threshold {
    /// In the units of what was calibrated; exceeded is alarm.
    pub value: f64,
    /// The same as a score between 0 and 1, [`Reference::score`] of it.
    pub score: f64,
    /// Whether the held-out scores reach so far: else the value was extrapolated and the rate is
    /// hoped for, not promised.
    pub supported: bool,
}

/// Held-out values of normal images, and what a new value is worth against them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Upwards.
    values: Vec<f32>,
    /// How fast values thin out beyond the largest, in their units.
    tail: f64,
}

impl Reference {
    /// Of values in any order; `None` where there is none or one is not finite.
    pub fn new(mut values: Vec<f32>) -> Option<Self> {
        if values.is_empty() || !values.iter().all(|v| v.is_finite()) {
            return None;
        }
        values.sort_unstable_by(f32::total_cmp);
        // The mean excess over the median: the scale of an exponential tail.
        let median = values[(values.len() - 1) / 2] as f64;
        let above: Vec<f64> =
            values.iter().map(|v| *v as f64 - median).filter(|e| *e > 0.0).collect();
        let mean = above.iter().sum::<f64>() / above.len().max(1) as f64;
        let least = 1e-6 * (values[values.len() - 1].abs() as f64).max(1e-12);
        Some(Self { values, tail: mean.max(least) })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Never: a reference has at least one value.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The values, upwards.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// One minus the conformal p-value of `value`, made smooth: in (0, 1), strictly increasing, and
    /// of a normal image about uniform. With the `n` held-out values sorted, `v_1 .. v_n`, and `b` the
    /// scale of their tail, it is
    /// - `i / (n + 1)` at `v_i` (the lowest such `i` where several are equal), straight lines between,
    /// - `1 - 1 / ((n + 1)(1 + (v - v_n) / b))` beyond `v_n`,
    /// - `1 / ((n + 1)(1 + (v_1 - v) / b))` below `v_1`.
    ///
    /// Beyond `v_n` the p-value falls as a power, not exponentially: 64 bits keep the order of values
    /// however far they are, and an extrapolated threshold errs towards fewer alarms.
    pub fn score(&self, value: f64) -> f64 {
        let n = self.values.len();
        let step = smallest_rate(n);
        let at = |i: usize| self.values[i] as f64;
        let (first, last) = (at(0), at(n - 1));
        if value < first {
            return step / (1.0 + (first - value) / self.tail);
        }
        // As many are below it; the first that is not has the lowest rank of its equals.
        let below = self.values.partition_point(|v| (*v as f64) < value);
        if below < n && at(below) == value {
            return (below + 1) as f64 * step;
        }
        if value > last {
            let lowest = self.values.partition_point(|v| *v < self.values[n - 1]);
            let start = (lowest + 1) as f64 * step;
            return 1.0 - (1.0 - start) / (1.0 + (value - last) / self.tail);
        }
        let from = at(below - 1);
        let lowest = self.values.partition_point(|v| (*v as f64) < from);
        let (a, b) = ((lowest + 1) as f64 * step, (below + 1) as f64 * step);
        a + (b - a) * (value - from) / (at(below) - from)
    }

    /// The split conformal threshold of a false-alarm rate in (0, 1): [`conformal_rank`]'s value.
    /// For exchangeable normal images the probability that a new one exceeds it is at most `rate`,
    /// over the draw of the held-out ones too. Where there are too few, it is where the extrapolated
    /// p-value is `rate`, which promises nothing.
    pub fn threshold(&self, rate: f64) -> Threshold {
        let n = self.values.len();
        let (value, supported) = match conformal_rank(n, rate) {
            Some(k) => (self.values[k - 1] as f64, true),
            None => {
                let last = self.values[n - 1] as f64;
                let excess = smallest_rate(n) / rate.max(f64::MIN_POSITIVE) - 1.0;
                (last + self.tail * excess.max(0.0), false)
            }
        };
        Threshold { value, score: self.score(value), supported }
    }
}
