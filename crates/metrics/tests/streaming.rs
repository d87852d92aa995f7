//! Binned metrics against the exact ones: the stated error must hold for any scores.

use hgad_metrics::streaming::{BinnedRegions, BinnedScores, Bins, Estimate};
use hgad_metrics::{MetricError, aupro, auroc, average_precision};
use proptest::prelude::*;

#[track_caller]
fn holds(estimate: Estimate, exact: f64) {
    let off = (estimate.value - exact).abs();
    assert!(off <= estimate.error + 1e-12, "{estimate:?} but {exact}");
}

/// Close together, so that coarse bins hold many, with some ties.
fn score() -> impl Strategy<Value = f32> {
    prop_oneof![0.9f32..1.6, -3.0f32..3.0, Just(1.0f32), Just(0.0), Just(-0.0)]
}

proptest! {
    #[test]
    fn scores_within_their_bounds(
        pairs in prop::collection::vec((score(), any::<bool>()), 2..200), bits in 9u32..16,
    ) {
        let (scores, labels): (Vec<f32>, Vec<bool>) = pairs.into_iter().unzip();
        prop_assume!(labels.contains(&true) && labels.contains(&false));
        let mut binned = BinnedScores::new(Bins::new(bits).unwrap());
        binned.add(&scores, &labels).unwrap();
        holds(binned.auroc().unwrap(), auroc(&scores, &labels).unwrap());
        holds(binned.average_precision().unwrap(), average_precision(&scores, &labels).unwrap());
    }

    #[test]
    fn regions_within_their_bounds(
        pixels in prop::collection::vec((score(), prop::bool::weighted(0.3)), 3 * 64),
        bits in 9u32..16, limit in 0.05f64..=1.0,
    ) {
        let (maps, masks): (Vec<f32>, Vec<bool>) = pixels.into_iter().unzip();
        prop_assume!(masks.contains(&true) && masks.contains(&false));
        let mut binned = BinnedRegions::new(Bins::new(bits).unwrap());
        binned.add(&maps, &masks, 8, 8).unwrap();
        holds(binned.aupro(limit).unwrap(), aupro(&maps, &masks, 8, 8, limit).unwrap());
    }
}

/// Overlapping bells and blocks as regions.
fn many() -> (Vec<f32>, Vec<bool>) {
    let mut state = 1u64;
    let mut uniform = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let masks: Vec<bool> = (0..8 * 64 * 64).map(|i| i % 64 < 12 && i / 64 % 64 < 12).collect();
    let bell = |m: &bool| (0..4).map(|_| uniform()).sum::<f32>() + if *m { 0.8 } else { 0.0 };
    (masks.iter().map(bell).collect(), masks)
}

#[test]
fn parts_merge_to_the_whole_and_come_close() {
    let (scores, masks) = many();
    let bins = Bins::default();
    let (mut of_scores, mut of_regions) = (BinnedScores::new(bins), BinnedRegions::new(bins));
    for (s, m) in scores.chunks(3 * 4096).zip(masks.chunks(3 * 4096)) {
        let mut part = BinnedScores::new(bins);
        part.add(s, m).unwrap();
        of_scores.merge(&part).unwrap();
        let mut part = BinnedRegions::new(bins);
        part.add(s, m, 64, 64).unwrap();
        of_regions.merge(&part).unwrap();
    }
    let mut at_once = BinnedScores::new(bins);
    at_once.add(&scores, &masks).unwrap();
    assert_eq!(of_scores, at_once);
    for (estimate, exact) in [
        (of_scores.auroc().unwrap(), auroc(&scores, &masks).unwrap()),
        (of_scores.average_precision().unwrap(), average_precision(&scores, &masks).unwrap()),
        (of_regions.aupro(0.3).unwrap(), aupro(&scores, &masks, 64, 64, 0.3).unwrap()),
    ] {
        holds(estimate, exact);
        assert!(estimate.error < 1e-3, "{estimate:?}");
    }
}

#[test]
fn what_cannot_be_counted_is_refused() {
    assert_eq!(Bins::new(8), Err(MetricError::InvalidBits { bits: 8 }));
    assert_eq!(Bins::new(25), Err(MetricError::InvalidBits { bits: 25 }));
    let mut scores = BinnedScores::new(Bins::new(9).unwrap());
    assert_eq!(scores.auroc(), Err(MetricError::NoPositives { count: 0 }));
    assert!(scores.add(&[1.0, f32::INFINITY], &[true, false]).is_err());
    assert_eq!(scores, BinnedScores::new(Bins::new(9).unwrap()), "nothing was counted");
    scores.add(&[1.0], &[true]).unwrap();
    assert_eq!(scores.auroc(), Err(MetricError::NoNegatives { count: 1 }));
    let fine = BinnedScores::new(Bins::new(12).unwrap());
    assert_eq!(scores.merge(&fine), Err(MetricError::OtherBins));
    let mut regions = BinnedRegions::new(Bins::new(9).unwrap());
    assert!(regions.add(&[1.0; 5], &[false; 5], 2, 2).is_err());
    assert!(matches!(regions.aupro(0.0), Err(MetricError::InvalidLimit { .. })));
    regions.add(&[1.0; 4], &[false; 4], 2, 2).unwrap();
    assert_eq!(regions.aupro(0.3), Err(MetricError::NoPositives { count: 4 }));
}
