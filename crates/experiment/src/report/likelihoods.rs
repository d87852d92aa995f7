//! Histograms of log-likelihoods on axes that classes share.

use super::marked_cells;
use crate::evaluate::{ClassMaps, Truth};
use hgad_report::{Histogram, LevelLikelihoods};
use hgad_scores::LevelScores;

/// Bins of what is shown.
const BINS: usize = 48;
/// Bins of a class on its own axis, from which the shown ones are made once all classes are known.
const FINE: usize = 4096;
/// Shares of normal and of anomalous vectors that may lie below the shown axis, and above it.
const CUT: [f64; 3] = [0.002, 0.05, 0.0005];

/// Counts of one class at one level.
struct Fine {
    class: String,
    low: f64,
    high: f64,
    /// Normal and anomalous.
    counts: [Vec<u64>; 2],
}

/// Collects levels class by class.
#[derive(Default)]
pub struct Likelihoods(Vec<(String, Vec<Fine>)>);

impl Likelihoods {
    /// The vectors of one class.
    pub fn add(&mut self, of: &ClassMaps, truth: &Truth, class: &str) {
        let sizes: Vec<_> = of.levels.iter().map(|l| (l.height, l.width)).collect();
        for (l, level) in of.levels.iter().enumerate() {
            if self.0.len() <= l {
                self.0.push((super::collect::level_name(&sizes, l), Vec::new()));
            }
            self.0[l].1.push(fine(of, level, truth, class));
        }
    }

    /// Each level with its classes on one axis.
    pub fn finish(self) -> Vec<LevelLikelihoods> {
        self.0.into_iter().map(|(level, classes)| shared(level, &classes)).collect()
    }
}

fn fine(of: &ClassMaps, level: &LevelScores, truth: &Truth, class: &str) -> Fine {
    let finite = || level.likelihood.iter().filter(|v| v.is_finite());
    let low = f64::from(finite().copied().fold(f32::INFINITY, f32::min));
    let high = f64::from(finite().copied().fold(f32::NEG_INFINITY, f32::max));
    let width = ((high - low) / FINE as f64).max(f64::MIN_POSITIVE);
    let mut counts = [vec![0; FINE], vec![0; FINE]];
    let positions = level.height * level.width;
    for (values, sample) in level.likelihood.chunks_exact(positions.max(1)).zip(of.samples) {
        let mask = truth.masks[*sample].as_deref();
        let marked = marked_cells(mask, truth.size, level.height, level.width);
        for (v, marked) in values.iter().zip(marked).filter(|(v, _)| v.is_finite()) {
            let bin = ((f64::from(*v) - low) / width) as usize;
            counts[usize::from(marked)][bin.min(FINE - 1)] += 1;
        }
    }
    Fine { class: class.into(), low, high, counts }
}

impl Fine {
    /// The middle of a bin.
    fn at(&self, bin: usize) -> f64 {
        self.low + (self.high - self.low) * (bin as f64 + 0.5) / FINE as f64
    }

    /// The value below which a share of a group lies; `None` of an empty group.
    fn quantile(&self, group: usize, share: f64) -> Option<f64> {
        let counts = &self.counts[group];
        let total: u64 = counts.iter().sum();
        let mut below = 0;
        let bin = counts.iter().position(|c| {
            below += c;
            total > 0 && below as f64 >= share * total as f64 && below > 0
        })?;
        Some(self.at(bin))
    }
}

fn shared(level: String, classes: &[Fine]) -> LevelLikelihoods {
    let ends = |share: [f64; 2]| {
        classes.iter().flat_map(move |c| (0..2).filter_map(move |g| c.quantile(g, share[g])))
    };
    let mut low = ends([CUT[0], CUT[1]]).fold(f64::INFINITY, f64::min);
    let mut high = ends([1.0 - CUT[2]; 2]).fold(f64::NEG_INFINITY, f64::max);
    if low >= high {
        // Nothing, or one value: an axis around it.
        let middle = if low.is_finite() { low } else { 0.0 };
        (low, high) = (middle - 0.5, middle + 0.5);
    }
    let classes = classes.iter().map(|c| {
        let [normal, anomalous] = [0, 1].map(|group| {
            let mut bins = vec![0; BINS];
            for (i, count) in c.counts[group].iter().enumerate().filter(|(_, count)| **count > 0) {
                let bin = ((c.at(i) - low) / (high - low) * BINS as f64) as usize;
                bins[bin.min(BINS - 1)] += count;
            }
            bins
        });
        Histogram { class: c.class.clone(), normal, anomalous }
    });
    LevelLikelihoods { level, low, high, classes: classes.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_share_an_axis_and_lose_no_vector() {
        // Two images of two by two positions; the second is anomalous in its left half.
        let likelihood = vec![-1.0, -1.1, -1.2, -0.9, -5.0, -1.0, -6.0, -1.1];
        let level = LevelScores { height: 2, width: 2, likelihood, ..Default::default() };
        let mask = vec![true, false, true, false];
        let truth = Truth { masks: vec![None, Some(mask)], size: 2 };
        let maps = |levels| ClassMaps {
            class: 0,
            samples: &[0, 1],
            size: 2,
            scores: vec![0.0; 2],
            maps: vec![0.0; 8],
            taken_for: vec![0; 2],
            levels,
        };
        let mut all = Likelihoods::default();
        all.add(&maps(vec![level.clone()]), &truth, "a");
        let shifted = level.likelihood.iter().map(|v| v - 2.0).collect();
        all.add(&maps(vec![LevelScores { likelihood: shifted, ..level }]), &truth, "b");
        let levels = all.finish();
        assert_eq!(levels.len(), 1);
        let l = &levels[0];
        assert!((l.low + 8.0).abs() < 0.01 && (l.high + 0.9).abs() < 0.01, "{} {}", l.low, l.high);
        for h in &l.classes {
            let sums = [&h.normal, &h.anomalous].map(|c| c.iter().sum::<u64>());
            assert_eq!(sums, [6, 2], "{}", h.class);
        }
        let first = |h: &Histogram| h.anomalous.iter().position(|c| *c > 0).unwrap();
        let apart = (first(&l.classes[0]) - first(&l.classes[1])) as f64 * (l.high - l.low) / 48.0;
        assert!((apart - 2.0).abs() < 0.2, "b lies 2 below a: {apart}");
    }
}
