//! One descending sort of the scores, and the walk over its thresholds that all metrics share.

use rayon::prelude::*;

use crate::error::MetricError;
use crate::radix_sort::{descending_key, radix_sort, score_of_key};

/// Fewer scores than this are sorted by one thread.
const PARALLEL_LIMIT: usize = 1 << 16;
const CHUNK: usize = 4096;
/// Scores sampled for each thread's share when the key range is split.
const SAMPLES_PER_SPLIT: usize = 256;

/// A score of an anomalous label with what the metric needs to know of it.
#[derive(Clone, Copy)]
pub(crate) struct Positive<P> {
    key: u32,
    pub(crate) payload: P,
}

/// The scores of one range of keys, each list sorted.
struct Block<P> {
    positives: Vec<Positive<P>>,
    negatives: Vec<u32>,
}

/// Bits of a key that name its bucket, for a bound on the keys that are needed: sign, exponent and
/// three digits more.
const BUCKET_BITS: u32 = 12;

/// Scores sorted in descending order, positives apart from negatives, down to some score.
pub(crate) struct Sweep<P> {
    /// Blocks in descending order of score.
    blocks: Vec<Block<P>>,
    /// Of all scores.
    pub(crate) positives: u64,
    pub(crate) negatives: u64,
}

/// What holds at one distinct score of a positive, taken as the threshold.
///
/// Between two steps only false positives are added, so these steps hold the whole curve.
pub(crate) struct Step<'a, P> {
    pub(crate) threshold: f32,
    /// Positives whose score equals the threshold.
    pub(crate) ties: &'a [Positive<P>],
    /// Positives at or above the threshold.
    pub(crate) tp: u64,
    /// Negatives strictly above the threshold.
    pub(crate) fp_above: u64,
    /// Negatives at or above the threshold.
    pub(crate) fp: u64,
}

impl<P: Copy + Send + Sync> Sweep<P> {
    /// Sorts; `payload` gives what to keep of the positive at an index.
    ///
    /// # Errors
    /// `LengthMismatch`, `NotFinite` and `NoPositives`; negatives may be missing.
    pub(crate) fn new(
        scores: &[f32],
        labels: &[bool],
        payload: impl Fn(usize) -> P + Sync,
    ) -> Result<Self, MetricError> {
        Self::until(scores, labels, payload, 1.0)
    }

    /// The same down to a score that more than the share `limit` of the negatives reach, of many scores;
    /// what is below is neither kept nor sorted.
    pub(crate) fn until(
        scores: &[f32],
        labels: &[bool],
        payload: impl Fn(usize) -> P + Sync,
        limit: f64,
    ) -> Result<Self, MetricError> {
        check_lengths(scores, labels)?;
        check_finite(scores)?;
        let positives: usize =
            labels.par_chunks(PARALLEL_LIMIT).map(|l| l.iter().filter(|&&l| l).count()).sum();
        if positives == 0 {
            return Err(MetricError::NoPositives { count: labels.len() });
        }
        let negatives = labels.len() - positives;
        let last = match limit < 1.0 {
            true => last_key(scores, labels, limit * negatives as f64),
            false => u32::MAX,
        };
        let blocks: Vec<Block<P>> = key_ranges(scores, last)
            .into_par_iter()
            .map(|(first, last)| sorted_block(scores, labels, &payload, first, last))
            .collect();
        Ok(Self { blocks, positives: positives as u64, negatives: negatives as u64 })
    }

    /// An error if there is no negative.
    pub(crate) fn require_negatives(&self) -> Result<(), MetricError> {
        match self.negatives {
            0 => Err(MetricError::NoNegatives { count: self.positives as usize }),
            _ => Ok(()),
        }
    }

    /// The steps in descending order of threshold.
    pub(crate) fn steps(&self) -> impl Iterator<Item = Step<'_, P>> {
        let (mut tp, mut fp_start) = (0, 0);
        self.blocks.iter().flat_map(move |block| {
            let (tp_before, fp_before) = (tp, fp_start);
            tp += block.positives.len() as u64;
            fp_start += block.negatives.len() as u64;
            block_steps(block, tp_before, fp_before)
        })
    }
}

fn block_steps<P: Copy>(
    block: &Block<P>,
    mut tp: u64,
    fp_before: u64,
) -> impl Iterator<Item = Step<'_, P>> {
    let (mut rest, mut passed) = (block.positives.as_slice(), 0);
    std::iter::from_fn(move || {
        let key = rest.first()?.key;
        let (ties, after) = rest.split_at(gallop(rest, |p| p.key == key));
        rest = after;
        tp += ties.len() as u64;
        passed += gallop(&block.negatives[passed..], |&n| n < key);
        let fp_above = fp_before + passed as u64;
        passed += gallop(&block.negatives[passed..], |&n| n == key);
        Some(Step {
            threshold: score_of_key(key),
            ties,
            tp,
            fp_above,
            fp: fp_before + passed as u64,
        })
    })
}

/// Length of the prefix on which `holds`: exponential then binary search, since prefixes are short.
fn gallop<T>(items: &[T], holds: impl Fn(&T) -> bool) -> usize {
    let mut bound = 1;
    while bound <= items.len() && holds(&items[bound - 1]) {
        bound *= 2;
    }
    let known = bound / 2;
    known + items[known..bound.min(items.len())].partition_point(holds)
}

pub(crate) fn check_lengths(scores: &[f32], labels: &[bool]) -> Result<(), MetricError> {
    match scores.len() == labels.len() {
        true => Ok(()),
        false => Err(MetricError::LengthMismatch { scores: scores.len(), labels: labels.len() }),
    }
}

pub(crate) fn check_finite(scores: &[f32]) -> Result<(), MetricError> {
    let bad = scores
        .par_chunks(PARALLEL_LIMIT)
        .position_first(|chunk| !chunk.iter().fold(true, |all, s| all & s.is_finite()));
    let Some(chunk) = bad else { return Ok(()) };
    let start = chunk * PARALLEL_LIMIT;
    match scores[start..].iter().position(|s| !s.is_finite()) {
        Some(offset) => {
            Err(MetricError::NotFinite { index: start + offset, value: scores[start + offset] })
        }
        None => Ok(()),
    }
}

/// The last key of a bucket by which more than `enough` negatives have come, or of all.
fn last_key(scores: &[f32], labels: &[bool], enough: f64) -> u32 {
    const SHIFT: u32 = u32::BITS - BUCKET_BITS;
    if scores.len() < PARALLEL_LIMIT {
        return u32::MAX;
    }
    let counts = scores
        .par_chunks(PARALLEL_LIMIT)
        .zip(labels.par_chunks(PARALLEL_LIMIT))
        .fold(
            || vec![0u64; 1 << BUCKET_BITS],
            |mut counts, (scores, labels)| {
                for (&score, &label) in scores.iter().zip(labels) {
                    counts[(descending_key(score) >> SHIFT) as usize] += u64::from(!label);
                }
                counts
            },
        )
        .reduce(|| vec![0; 1 << BUCKET_BITS], |a, b| a.iter().zip(b).map(|(a, b)| a + b).collect());
    let mut sum = 0;
    let reached = counts.iter().position(|count| {
        sum += count;
        sum as f64 > enough
    });
    reached.map_or(u32::MAX, |bucket| ((bucket as u32) << SHIFT) | ((1 << SHIFT) - 1))
}

/// Inclusive ranges that cover the keys up to `end` and hold about equally many scores each.
fn key_ranges(scores: &[f32], end: u32) -> Vec<(u32, u32)> {
    let splits = rayon::current_num_threads();
    if scores.len() < PARALLEL_LIMIT || splits < 2 {
        return vec![(0, end)];
    }
    let stride = (scores.len() / (splits * SAMPLES_PER_SPLIT)).max(1);
    let keys = scores.iter().step_by(stride).map(|&s| descending_key(s));
    let mut sample: Vec<u32> = keys.filter(|&key| key < end).collect();
    sample.sort_unstable();
    let at = |i: usize| sample.get(i * sample.len() / splits).copied();
    let mut last: Vec<u32> = (1..splits).filter_map(at).collect();
    last.push(end);
    last.dedup();
    let mut first = 0;
    last.into_iter()
        .map(|last| (std::mem::replace(&mut first, last.wrapping_add(1)), last))
        .collect()
}

/// Collects and sorts the scores whose keys lie in `first..=last`.
fn sorted_block<P: Copy>(
    scores: &[f32],
    labels: &[bool],
    payload: &impl Fn(usize) -> P,
    first: u32,
    last: u32,
) -> Block<P> {
    let mut positives = Vec::new();
    // Ranges hold about equal shares, so this seldom grows.
    let share = scores.len() / rayon::current_num_threads();
    let mut negatives = Vec::with_capacity(share + share / 8);
    let mut kept = [0u32; CHUNK];
    let mut found = [0u32; CHUNK];
    for (chunk, (scores, labels)) in scores.chunks(CHUNK).zip(labels.chunks(CHUNK)).enumerate() {
        let (mut n_kept, mut n_found) = (0, 0);
        // Writing always and advancing by the condition spares a branch nobody can predict.
        for (i, (&score, &label)) in scores.iter().zip(labels).enumerate() {
            let key = descending_key(score);
            let inside = key.wrapping_sub(first) <= last - first;
            kept[n_kept] = key;
            n_kept += usize::from(inside & !label);
            found[n_found] = i as u32;
            n_found += usize::from(inside & label);
        }
        negatives.extend_from_slice(&kept[..n_kept]);
        positives.extend(found[..n_found].iter().map(|&i| Positive {
            key: descending_key(scores[i as usize]),
            payload: payload(chunk * CHUNK + i as usize),
        }));
    }
    radix_sort(&mut positives, |p| p.key);
    radix_sort(&mut negatives, |&n| n);
    Block { positives, negatives }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores with ties, and labels.
    fn many() -> (Vec<f32>, Vec<bool>) {
        let n = 3 * PARALLEL_LIMIT;
        let scores = (0..n).map(|i| ((i * 7919) % 1013) as f32 - 300.0).collect();
        (scores, (0..n).map(|i| (i * 31) % 17 == 0).collect())
    }

    #[test]
    fn many_scores_sweep_like_few() {
        let (scores, labels) = many();
        let sweep = Sweep::new(&scores, &labels, |i| i).unwrap();
        let mut steps = 0;
        for step in sweep.steps() {
            let above = |label, strictly: bool| {
                let beats = |s: f32| s > step.threshold || (!strictly && s == step.threshold);
                scores.iter().zip(&labels).filter(|&(&s, &l)| l == label && beats(s)).count() as u64
            };
            if steps % 100 == 0 {
                assert_eq!(step.tp, above(true, false));
                assert_eq!(step.fp, above(false, false));
                assert_eq!(step.fp_above, above(false, true));
            }
            for tie in step.ties {
                assert_eq!(scores[tie.payload], step.threshold);
            }
            steps += 1;
        }
        assert_eq!(steps, 1013);
    }

    #[test]
    fn a_limit_leaves_out_what_comes_after_it() {
        let (scores, labels) = many();
        let n = scores.len();
        let whole = Sweep::new(&scores, &labels, |i| i).unwrap();
        for limit in [1e-9, 0.05, 0.3, 0.999, 1.0] {
            let some = Sweep::until(&scores, &labels, |i| i, limit).unwrap();
            assert_eq!((some.positives, some.negatives), (whole.positives, whole.negatives));
            let seen = |sweep: &Sweep<usize>| -> Vec<(f32, u64, u64, u64)> {
                let enough = limit * sweep.negatives as f64;
                let steps = sweep.steps().take_while(|s| s.fp_above as f64 <= enough);
                steps.map(|s| (s.threshold, s.tp, s.fp_above, s.fp)).collect()
            };
            assert_eq!(seen(&some), seen(&whole), "{limit}");
            let kept: usize = some.blocks.iter().map(|b| b.negatives.len()).sum();
            assert_eq!(kept < n / 2, limit < 0.4, "{limit}: {kept} of {n}");
        }
    }

    #[test]
    fn gallop_finds_the_prefix() {
        let items: Vec<usize> = (0..37).collect();
        for end in 0..=37 {
            assert_eq!(gallop(&items, |&i| i < end), end);
        }
        assert_eq!(gallop(&[] as &[usize], |_| true), 0);
    }
}
