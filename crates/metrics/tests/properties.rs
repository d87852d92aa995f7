//! What must hold for any scores.

use hgad_metrics::{aupro, auroc, average_precision, f1_max, label_regions};
use proptest::prelude::*;

/// Few distinct values, so that ties are common.
fn labelled_scores() -> impl Strategy<Value = (Vec<f32>, Vec<bool>)> {
    let pair = (-6i32..6, any::<bool>());
    prop::collection::vec(pair, 2..60)
        .prop_map(|pairs| pairs.into_iter().map(|(s, l)| (s as f32 / 4.0, l)).unzip())
        .prop_filter("both kinds", |(_, l): &(Vec<f32>, Vec<bool>)| {
            l.contains(&true) && l.contains(&false)
        })
}

fn brute_auroc(scores: &[f32], labels: &[bool]) -> f64 {
    let (mut won, mut pairs) = (0.0, 0.0);
    for (i, &p) in scores.iter().enumerate().filter(|(i, _)| labels[*i]) {
        for (j, &n) in scores.iter().enumerate().filter(|(j, _)| !labels[*j]) {
            assert_ne!(i, j);
            pairs += 1.0;
            won += if p > n {
                1.0
            } else if p == n {
                0.5
            } else {
                0.0
            };
        }
    }
    won / pairs
}

/// Precision, recall and F1 at each distinct threshold, from high to low.
fn brute_curve(scores: &[f32], labels: &[bool]) -> Vec<(f64, f64, f64)> {
    let mut thresholds = scores.to_vec();
    thresholds.sort_by(|a, b| b.total_cmp(a));
    thresholds.dedup();
    let positives = labels.iter().filter(|l| **l).count() as f64;
    let at = |t: &f32| {
        let calls = scores.iter().filter(|s| *s >= t).count() as f64;
        let hits = scores.iter().zip(labels).filter(|(s, l)| *s >= t && **l).count() as f64;
        let (p, r) = (hits / calls, hits / positives);
        (p, r, 2.0 * p * r / (p + r).max(1e-12))
    };
    thresholds.iter().map(at).collect()
}

/// The definition of AUPRO, one threshold at a time.
fn brute_aupro(maps: &[f32], masks: &[bool], side: usize, limit: f64) -> f64 {
    let mut regions: Vec<Vec<f32>> = Vec::new();
    for (map, mask) in maps.chunks(side * side).zip(masks.chunks(side * side)) {
        let found = label_regions(mask, side, side).unwrap();
        for r in 1..=found.areas.len() as u32 {
            let inside = map.iter().zip(&found.labels).filter(|(_, l)| **l == r);
            regions.push(inside.map(|(s, _)| *s).collect());
        }
    }
    let normal: Vec<f32> = maps.iter().zip(masks).filter(|(_, m)| !**m).map(|(s, _)| *s).collect();
    let share =
        |xs: &[f32], t: f32| xs.iter().filter(|x| **x >= t).count() as f64 / xs.len() as f64;
    let mut thresholds = maps.to_vec();
    thresholds.sort_by(|a, b| b.total_cmp(a));
    thresholds.dedup();
    let (mut x, mut y, mut under) = (0.0, 0.0, 0.0);
    for t in thresholds {
        let nx = share(&normal, t);
        let ny = regions.iter().map(|r| share(r, t)).sum::<f64>() / regions.len() as f64;
        if nx > limit {
            let end = y + (ny - y) * (limit - x) / (nx - x);
            return (under + (limit - x) * (y + end) / 2.0) / limit;
        }
        under += (nx - x) * (y + ny) / 2.0;
        (x, y) = (nx, ny);
    }
    under / limit
}

/// So many pixels that those after the limit are left out.
#[test]
fn aupro_of_many_pixels_follows_the_curve() {
    let (side, images) = (64, 17);
    let mut x = 1u32;
    let mut draw = || {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 8) as f32 / (1 << 24) as f32
    };
    let masks: Vec<bool> =
        (0..side * side * images).map(|i| i % side < 9 && i / 700 % 5 < 2).collect();
    // 40 values, of which those of anomalous pixels are larger as a rule.
    let maps: Vec<f32> =
        masks.iter().map(|&m| (draw() * 30.0 + f32::from(u8::from(m)) * 10.0).floor()).collect();
    for limit in [0.001, 0.05, 0.3, 0.9, 1.0] {
        let (got, expected) = (
            aupro(&maps, &masks, side, side, limit).unwrap(),
            brute_aupro(&maps, &masks, side, limit),
        );
        assert!((got - expected).abs() < 1e-12, "{limit}: {got} and {expected}");
    }
}

proptest! {
    #[test]
    fn auroc_is_the_share_of_ordered_pairs((s, l) in labelled_scores()) {
        prop_assert!((auroc(&s, &l).unwrap() - brute_auroc(&s, &l)).abs() < 1e-12);
    }

    #[test]
    fn auroc_ignores_increasing_maps((s, l) in labelled_scores()) {
        let base = auroc(&s, &l).unwrap();
        let exp: Vec<f32> = s.iter().map(|v| v.exp()).collect();
        let affine: Vec<f32> = s.iter().map(|v| 3.0 * v - 7.0).collect();
        prop_assert_eq!(base, auroc(&exp, &l).unwrap());
        prop_assert_eq!(base, auroc(&affine, &l).unwrap());
    }

    #[test]
    fn auroc_of_negated_scores_is_the_rest((s, l) in labelled_scores()) {
        let negated: Vec<f32> = s.iter().map(|v| -v).collect();
        let sum = auroc(&s, &l).unwrap() + auroc(&negated, &l).unwrap();
        prop_assert!((sum - 1.0).abs() < 1e-12);
    }

    #[test]
    fn ap_and_f1_follow_the_curve((s, l) in labelled_scores()) {
        let curve = brute_curve(&s, &l);
        let (mut ap, mut recall, mut best) = (0.0, 0.0, 0.0f64);
        for (p, r, f1) in curve {
            ap += (r - recall) * p;
            recall = r;
            best = best.max(f1);
        }
        prop_assert!((average_precision(&s, &l).unwrap() - ap).abs() < 1e-12);
        prop_assert!((f1_max(&s, &l).unwrap().f1 - best).abs() < 1e-12);
    }

    #[test]
    fn aupro_follows_the_curve(
        s in prop::collection::vec(0i32..9, 128),
        l in prop::collection::vec(prop::bool::weighted(0.3), 128),
        limit in 0.01f64..=1.0,
    ) {
        prop_assume!(l.contains(&true) && l.contains(&false));
        let maps: Vec<f32> = s.iter().map(|&v| v as f32).collect();
        let got = aupro(&maps, &l, 8, 8, limit).unwrap();
        prop_assert!((got - brute_aupro(&maps, &l, 8, limit)).abs() < 1e-12);
    }
}

#[test]
fn regions_touch_at_corners() {
    let mask: Vec<bool> = "#..#.#..#.....##".chars().map(|c| c == '#').collect();
    let found = label_regions(&mask, 4, 4).unwrap();
    assert_eq!(found.labels, [1, 0, 0, 2, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 3, 3]);
    assert_eq!(found.areas, [3, 1, 2]);
    assert!(label_regions(&mask, 4, 5).is_err());
}
