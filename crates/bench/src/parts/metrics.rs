//! `metrics/*_5.4M`: pixel metrics of a class with 83 test images of 256 x 256 pixels.

use crate::case::Plan;
use hgad_metrics::streaming::{BinnedRegions, BinnedScores, Bins};
use hgad_metrics::{aupro, auroc};
use hgad_parameters::seeded;

const IMAGES: usize = 83;
const SIDE: usize = 256;

pub(crate) fn plans() -> Vec<Plan> {
    let unit = "ms";
    vec![
        Plan::new("metrics/pixel_auroc_5.4M", unit, |setup| {
            let (scores, labels) = scattered();
            Ok(setup.clock.median(|| auroc(&scores, &labels).map(drop))? * 1e3)
        }),
        Plan::new("metrics/aupro_5.4M", unit, |setup| {
            let (scores, masks) = blobs();
            let run = || aupro(&scores, &masks, SIDE, SIDE, 0.3).map(drop);
            Ok(setup.clock.median(run)? * 1e3)
        }),
        Plan::new("metrics/streaming_auroc_5.4M", unit, |setup| {
            let (scores, labels) = scattered();
            let run = || {
                let mut binned = BinnedScores::new(Bins::default());
                binned.add(&scores, &labels)?;
                binned.auroc().map(drop)
            };
            Ok(setup.clock.median(run)? * 1e3)
        }),
        Plan::new("metrics/streaming_aupro_5.4M", unit, |setup| {
            let (scores, masks) = blobs();
            let run = || {
                let mut binned = BinnedRegions::new(Bins::default());
                binned.add(&scores, &masks, SIDE, SIDE)?;
                binned.aupro(0.3).map(drop)
            };
            Ok(setup.clock.median(run)? * 1e3)
        }),
    ]
}

/// Scores, 3 % of them anomalous wherever they lie; normal about 0 or 1.
fn scattered() -> (Vec<f32>, Vec<bool>) {
    let mut draws = seeded(0, "labels");
    let labels: Vec<bool> = (0..IMAGES * SIDE * SIDE).map(|_| draws.unit() < 0.03).collect();
    (scores(&labels), labels)
}

/// Maps with one to three discs in three of four images, 3 % of all pixels or so.
fn blobs() -> (Vec<f32>, Vec<bool>) {
    let mut draws = seeded(0, "masks");
    let mut masks = vec![false; IMAGES * SIDE * SIDE];
    for mask in masks.chunks_exact_mut(SIDE * SIDE) {
        if draws.unit() < 0.25 {
            continue;
        }
        for _ in 0..1 + draws.below(3) {
            let (y, x) = (draws.uniform(0.0, SIDE as f64), draws.uniform(0.0, SIDE as f64));
            let radius = draws.uniform(6.0, 30.0);
            for (i, pixel) in mask.iter_mut().enumerate() {
                let (dy, dx) = ((i / SIDE) as f64 - y, (i % SIDE) as f64 - x);
                *pixel |= dy * dy + dx * dx < radius * radius;
            }
        }
    }
    (scores(&masks), masks)
}

fn scores(labels: &[bool]) -> Vec<f32> {
    let mut draws = seeded(0, "scores");
    labels.iter().map(|l| draws.normal() as f32 + f32::from(u8::from(*l))).collect()
}
