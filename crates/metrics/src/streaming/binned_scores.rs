use super::{Bins, Estimate};
use crate::error::MetricError;
use crate::sweep::{check_finite, check_lengths};

/// Counts of scores by bin and label, for AUROC and average precision.
#[derive(Debug, Clone, PartialEq)]
pub struct BinnedScores {
    bins: Bins,
    /// Normal and anomalous scores of each bin, from the highest.
    counts: Vec<[u64; 2]>,
}

/// A bin with positives, and what lies above it.
struct Step {
    positives_above: f64,
    negatives_above: f64,
    positives: f64,
    negatives: f64,
}

impl BinnedScores {
    /// No scores yet; 16 bytes a bin.
    pub fn new(bins: Bins) -> Self {
        Self { bins, counts: vec![[0; 2]; bins.count()] }
    }

    /// Counts `scores` (n) with `labels` (n).
    ///
    /// # Errors
    /// [`MetricError::LengthMismatch`], [`MetricError::NotFinite`]; nothing is counted then.
    pub fn add(&mut self, scores: &[f32], labels: &[bool]) -> Result<(), MetricError> {
        check_lengths(scores, labels)?;
        check_finite(scores)?;
        for (&score, &label) in scores.iter().zip(labels) {
            self.counts[self.bins.of(score)][usize::from(label)] += 1;
        }
        Ok(())
    }

    /// Adds what another has counted, so that threads or machines can share the work.
    ///
    /// # Errors
    /// [`MetricError::OtherBins`].
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        if self.bins != other.bins {
            return Err(MetricError::OtherBins);
        }
        for (own, other) in self.counts.iter_mut().flatten().zip(other.counts.iter().flatten()) {
            *own += other;
        }
        Ok(())
    }

    /// Area under the receiver operating characteristic, ties by mid-rank.
    ///
    /// With `p_i` positives and `n_i` negatives in bin `i` of `P` and `N`, a bin's pairs count one
    /// half, and the error is `sum p_i n_i / (2 P N)`.
    ///
    /// # Errors
    /// [`MetricError::NoPositives`], [`MetricError::NoNegatives`].
    pub fn auroc(&self) -> Result<Estimate, MetricError> {
        let (positives, negatives) = self.totals()?;
        if negatives == 0 {
            return Err(MetricError::NoNegatives { count: positives as usize });
        }
        let (mut below, mut twice_won, mut within) = (negatives, 0u128, 0u128);
        for &[n, p] in &self.counts {
            below -= n;
            twice_won += u128::from(p) * u128::from(2 * below + n);
            within += u128::from(p) * u128::from(n);
        }
        let twice_pairs = (2 * u128::from(positives) * u128::from(negatives)) as f64;
        Ok(Estimate { value: twice_won as f64 / twice_pairs, error: within as f64 / twice_pairs })
    }

    /// Average precision, as [`crate::average_precision()`].
    ///
    /// In a bin every positive has at best the precision of its end without its negatives, at worst
    /// all of its negatives come first; the value is the middle of the two sums.
    ///
    /// # Errors
    /// [`MetricError::NoPositives`].
    pub fn average_precision(&self) -> Result<Estimate, MetricError> {
        let positives = self.totals()?.0 as f64;
        let (mut low, mut high) = (0.0, 0.0);
        for s in self.steps() {
            let reached = s.positives_above + s.positives;
            high += s.positives * reached / (reached + s.negatives_above);
            // The integral of tp / (tp + fp) over tp, below the sum since precision rises with tp.
            let fp = s.negatives_above + s.negatives;
            low += match fp > 0.0 {
                true => s.positives - fp * (s.positives / (s.positives_above + fp)).ln_1p(),
                false => s.positives,
            };
        }
        Ok(Estimate::between(low / positives, high / positives))
    }

    fn totals(&self) -> Result<(u64, u64), MetricError> {
        let (negatives, positives) =
            self.counts.iter().fold((0, 0), |(n, p), c| (n + c[0], p + c[1]));
        match positives {
            0 => Err(MetricError::NoPositives { count: negatives as usize }),
            _ => Ok((positives, negatives)),
        }
    }

    fn steps(&self) -> impl Iterator<Item = Step> {
        let (mut tp, mut fp) = (0, 0);
        self.counts.iter().filter_map(move |&[n, p]| {
            let step = Step {
                positives_above: tp as f64,
                negatives_above: fp as f64,
                positives: p as f64,
                negatives: n as f64,
            };
            tp += p;
            fp += n;
            (p > 0).then_some(step)
        })
    }
}
