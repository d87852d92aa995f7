//! Maps of the test images as the deployed model makes them, beside its calibrated threshold.

use crate::calibration::Calibration;
use crate::error::ExperimentError;
use crate::evaluate::ClassMaps;
use crate::features::Features;
use crate::predict::scaled;
use hgad_report::{Histogram, ImageScores, Threshold};
use hgad_scores::LevelScores;
use rayon::prelude::*;

/// The calibrated threshold in maps that are scaled by [`scaled`], the same in every class.
const THRESHOLD: f64 = 0.5;
/// Bins between 0 and 1; the threshold is an edge.
const BINS: usize = 40;

/// `of` with the deployed model's maps, scaled, in place of the score rule's; `None` where no images
/// of its class were held out, so that there is no threshold that promises anything.
///
/// # Errors
/// What the calibration's rule gives.
pub fn deployed_maps<'a>(
    of: &ClassMaps<'a>,
    calibration: &Calibration,
) -> Result<Option<ClassMaps<'a>>, ExperimentError> {
    let class = |i: usize| &calibration.classes[of.taken_for[i] as usize];
    let own = &calibration.classes[of.class];
    let fits = calibration.map.size == of.size;
    if !fits || !own.held_out || (0..of.samples.len()).any(|i| !class(i).held_out) {
        return Ok(None);
    }
    let rate = calibration.rates.false_alarm_rate;
    let maps: Vec<(Vec<f32>, Vec<f32>)> = (0..of.samples.len())
        .into_par_iter()
        .map(|i| {
            let levels: Vec<LevelScores> = of.levels.iter().map(|l| l.image(i)).collect();
            let (score, map) =
                class(i).constants.judge(calibration.evidence, &levels, &calibration.map)?;
            let threshold = class(i).threshold(rate).value;
            let score = scaled(vec![score], threshold);
            Ok((scaled(map, threshold), score))
        })
        .collect::<Result<_, ExperimentError>>()?;
    Ok(Some(ClassMaps {
        class: of.class,
        samples: of.samples,
        size: of.size,
        scores: maps.iter().flat_map(|(_, score)| score.clone()).collect(),
        maps: maps.into_iter().flat_map(|(map, _)| map).collect(),
        taken_for: of.taken_for.clone(),
        levels: Vec::new(),
    }))
}

/// The threshold of the maps of `class`, and how it was chosen.
pub fn threshold(calibration: &Calibration, class: usize) -> Threshold {
    let calibrated = &calibration.classes[class];
    let rate = calibration.rates.false_alarm_rate;
    let percent = format!("{:.2}", 100.0 * rate);
    let percent = percent.trim_end_matches('0').trim_end_matches('.');
    let n = calibrated.images();
    let promise = match calibrated.guarantees(rate) {
        true => "",
        false => ", too few for that rate: it is extrapolated and promises nothing",
    };
    Threshold {
        value: THRESHOLD,
        origin: format!(
            "calibrated for a false-alarm rate of {percent} % on {n} normal images that were held out from training{promise}"
        ),
        calibrated: true,
    }
}

/// Where the images of `deployed` lie to `threshold`.
pub fn image_scores(
    deployed: &ClassMaps,
    features: &Features,
    class: &str,
    threshold: &Threshold,
) -> ImageScores {
    let peaks = (0..deployed.samples.len()).map(|i| {
        let is_anomalous = features.test[deployed.samples[i]].is_anomalous();
        (f64::from(deployed.image_score(i)), is_anomalous)
    });
    of_peaks(peaks, class, threshold)
}

fn of_peaks(
    peaks: impl Iterator<Item = (f64, bool)>,
    class: &str,
    threshold: &Threshold,
) -> ImageScores {
    // Counts, and how many of them are above the threshold: normal and anomalous.
    let (mut counts, mut above) = ([vec![0u64; BINS], vec![0u64; BINS]], [0u64; 2]);
    for (peak, is_anomalous) in peaks {
        let group = usize::from(is_anomalous);
        counts[group][((peak * BINS as f64) as usize).min(BINS - 1)] += 1;
        above[group] += u64::from(peak > threshold.value);
    }
    let share = |group: usize| {
        let all: u64 = counts[group].iter().sum();
        (all > 0).then(|| above[group] as f64 / all as f64)
    };
    let (false_alarms, found) = (share(0), share(1));
    let [normal, anomalous] = counts;
    ImageScores {
        counts: Histogram { class: class.into(), normal, anomalous },
        threshold: threshold.clone(),
        false_alarms,
        found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_are_counted_on_their_side_of_the_threshold() {
        let threshold = Threshold { value: THRESHOLD, ..Default::default() };
        let peaks = [(0.0, false), (0.49, false), (0.51, false), (0.2, true), (1.0, true)];
        let s = of_peaks(peaks.into_iter(), "a", &threshold);
        let at = |counts: &[u64]| -> Vec<usize> { (0..BINS).filter(|i| counts[*i] > 0).collect() };
        assert_eq!(at(&s.counts.normal), [0, 19, 20]);
        assert_eq!(at(&s.counts.anomalous), [8, 39]);
        assert_eq!((s.false_alarms, s.found), (Some(1.0 / 3.0), Some(0.5)));
        let none = of_peaks(std::iter::empty(), "a", &threshold);
        assert_eq!((none.false_alarms, none.found), (None, None));
    }
}
