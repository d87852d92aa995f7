//! Which normal images are set aside to calibrate with.

use crate::config::CalibrationConfig;
use hgad_datasets::Sample;
use std::collections::{BTreeMap, HashSet};

/// Splits normal samples into those to train on and those that calibrate: of each class
/// `calibration.share`, at least `calibration.minimum`, never more than half. Each sample is drawn by
/// a hash of the seed and its own name, so that a file that comes or goes moves few others.
pub(crate) fn hold_out(
    samples: Vec<Sample>,
    config: &CalibrationConfig,
    seed: u64,
) -> (Vec<Sample>, Vec<Sample>) {
    let mut classes: BTreeMap<usize, Vec<&Sample>> = BTreeMap::new();
    samples.iter().for_each(|s| classes.entry(s.class).or_default().push(s));
    let mut chosen: HashSet<String> = HashSet::new();
    for mut members in classes.into_values() {
        let count = held_out_count(members.len(), config);
        members.sort_by_cached_key(|s| draw(seed, &s.id));
        chosen.extend(members[..count].iter().map(|s| s.id.clone()));
    }
    let (held_out, train) = samples.into_iter().partition(|s| chosen.contains(&s.id));
    (train, held_out)
}

/// How many of `images` of one class are set aside.
pub(crate) fn held_out_count(images: usize, config: &CalibrationConfig) -> usize {
    if config.share <= 0.0 {
        return 0;
    }
    let share = (images as f64 * config.share).ceil() as usize;
    share.max(config.minimum).min(images / 2)
}

fn draw(seed: u64, id: &str) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"calibration").update(&seed.to_le_bytes()).update(id.as_bytes());
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hgad_datasets::{Source, Split};

    fn samples(counts: &[usize]) -> Vec<Sample> {
        let of = |class: usize, i: usize| Sample {
            class,
            split: Split::Train,
            defect: None,
            source: Source::Generated(0),
            id: format!("{class}/{i}"),
        };
        let of = &of;
        counts.iter().enumerate().flat_map(|(c, n)| (0..*n).map(move |i| of(c, i))).collect()
    }

    #[test]
    fn a_share_of_each_class_at_least_the_minimum_at_most_half() {
        let config = CalibrationConfig::default();
        let all = samples(&[300, 40, 10, 1]);
        let (train, held_out) = hold_out(all.clone(), &config, 0);
        let of = |part: &[Sample], class| part.iter().filter(|s| s.class == class).count();
        assert_eq!([0, 1, 2, 3].map(|c| of(&held_out, c)), [30, 8, 5, 0]);
        assert_eq!([0, 1, 2, 3].map(|c| of(&train, c)), [270, 32, 5, 1]);
        let none = CalibrationConfig { share: 0.0, ..config };
        assert_eq!(hold_out(all.clone(), &none, 0), (all, vec![]));
    }

    #[test]
    fn the_seed_decides_and_a_missing_file_moves_few() {
        let config = CalibrationConfig::default();
        let all = samples(&[200]);
        let held_out = |s: &[Sample], seed| hold_out(s.to_vec(), &config, seed).1;
        let whole = held_out(&all, 1);
        assert_eq!(whole, held_out(&all, 1));
        assert_ne!(whole, held_out(&all, 2));
        let without = held_out(&all[1..], 1);
        let moved = without.iter().filter(|s| !whole.contains(s)).count();
        assert!(moved <= 1, "{moved} of {} are others", whole.len());
    }
}
