//! How the deployed model does on the test set: scores, thresholds and classes as `hgad predict` gives
//! them, with nothing that a test set is needed for.

use crate::calibration::Calibration;
use crate::config::Config;
use crate::error::ExperimentError;
use crate::evaluate::Truth;
use crate::features::{Features, Part};
use crate::model::Model;
use crate::predict::{Batch, Scored, best_class, scaled};
use crate::progress::{Event, Observer};
use hgad_metrics::auroc;
use hgad_scores::Threshold;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Images that are scored together; bounds memory.
const BATCH: usize = 16;

/// What deployed scores reached on the test set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deployed {
    /// The false-alarm rate asked for.
    pub false_alarm_rate: f64,
    /// The share of images of known classes that may be called none of them.
    pub none_rate: f64,
    /// Means over classes.
    pub mean: DeployedClass,
    /// By class.
    pub classes: BTreeMap<String, DeployedClass>,
}

/// The same of one class, or the mean over classes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DeployedClass {
    /// Normal images it was calibrated on; of the mean: all of them.
    pub calibration_images: usize,
    /// Whether the false-alarm rate is guaranteed for exchangeable normal images, class given.
    pub guaranteed: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caveat: Option<String>,
    /// The score above which an image is called anomalous.
    pub threshold: f64,
    /// Normal test images.
    pub test_good: usize,
    /// Anomalous test images.
    pub test_anomalous: usize,
    /// With the class of every image given.
    pub given: Outcome,
    /// With the class inferred; `None` under a prior without classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inferred: Option<Outcome>,
    /// Share of test images whose class was inferred rightly, before any is called none of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_accuracy: Option<f64>,
    /// Share of normal test images that were called none of the classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none_of_good: Option<f64>,
    /// Share of anomalous test images that were called none of the classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub none_of_anomalous: Option<f64>,
}

/// Figures of one way to score; `None` where undefined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Area under the ROC curve of image scores.
    pub image_auroc: Option<f64>,
    /// Area under the ROC curve of map values.
    pub pixel_auroc: Option<f64>,
    /// Share of normal test images called anomalous.
    pub false_alarm_rate: Option<f64>,
    /// Share of anomalous test images called anomalous.
    pub detection_rate: Option<f64>,
}

/// Scores the test set as a deployed model does.
///
/// # Errors
/// What scoring gives.
pub fn evaluate_deployed(
    config: &Config,
    model: &Model,
    calibration: &Calibration,
    features: &Features,
    truth: &Truth,
    observer: &dyn Observer,
) -> Result<Deployed, ExperimentError> {
    model.track(false);
    let rates = &config.calibration;
    let total = features.test.len() as u64;
    observer.event(Event::Begin { what: "evaluating (deployed)", total, unit: "images" });
    let run = Run {
        model,
        calibration,
        features,
        truth,
        chunk: config.train.chunk.max(4096),
        thresholds: calibration
            .classes
            .iter()
            .map(|c| c.threshold(rates.false_alarm_rate))
            .collect(),
        none: calibration.foreign.threshold(rates.none_rate),
        has_classes: model.has_classes()?,
    };
    let mut classes = BTreeMap::new();
    let mut done = 0;
    for (class, name) in model.classes.iter().enumerate() {
        let samples: Vec<usize> = features.of_class(Part::Test, class);
        if samples.is_empty() {
            continue;
        }
        let calibrated = &calibration.classes[class];
        let mut of = run.class(class, &samples)?;
        of.calibration_images = calibrated.images();
        of.guaranteed = calibrated.guarantees(rates.false_alarm_rate);
        of.caveat = calibrated.caveat(rates.false_alarm_rate);
        of.threshold = run.thresholds[class].score;
        classes.insert(name.clone(), of);
        done += samples.len() as u64;
        observer.event(Event::Advance { done, state: name });
    }
    observer.event(Event::End);
    Ok(Deployed {
        false_alarm_rate: rates.false_alarm_rate,
        none_rate: rates.none_rate,
        mean: mean(&classes),
        classes,
    })
}

struct Run<'a> {
    model: &'a Model,
    calibration: &'a Calibration,
    features: &'a Features,
    truth: &'a Truth,
    chunk: usize,
    thresholds: Vec<Threshold>,
    none: Threshold,
    has_classes: bool,
}

/// What all images of one class were given, one way.
#[derive(Default)]
struct Given {
    scores: Vec<f64>,
    alarms: Vec<bool>,
    maps: Vec<f32>,
}

impl Given {
    /// Adds an image that was scored as `class`; `foreign` ones are anomalous whatever their score.
    fn add(&mut self, run: &Run, class: u32, foreign: bool, of: &Scored) {
        let threshold = &run.thresholds[class as usize];
        let value = f64::from(of.value);
        self.scores.push(run.calibration.classes[class as usize].constants.scores.score(value));
        self.alarms.push(foreign || value > threshold.value);
        self.maps.extend(scaled(of.map.clone(), threshold.value));
    }

    fn outcome(&self, labels: &[bool], masks: &[bool]) -> Outcome {
        Outcome {
            // 32 bits would make ties of the highest scores.
            image_auroc: auroc(&ranks(&self.scores), labels).ok(),
            pixel_auroc: auroc(&self.maps, masks).ok(),
            false_alarm_rate: share(&self.alarms, labels, false),
            detection_rate: share(&self.alarms, labels, true),
        }
    }
}

impl Run<'_> {
    fn class(&self, class: usize, samples: &[usize]) -> Result<DeployedClass, ExperimentError> {
        let (mut given, mut inferred) = (Given::default(), Given::default());
        let (mut right, mut none) = (0, Vec::new());
        let count = self.model.classes.len();
        for samples in samples.chunks(BATCH) {
            let batch = Batch::new(self.model, samples.len(), self.chunk, |level, i, x| {
                x.extend_from_slice(&self.features.maps(Part::Test, samples[i])?.level(level));
                Ok(())
            })?;
            let own = vec![class as u32; samples.len()];
            let evidence = if self.has_classes { batch.class_evidence()? } else { Vec::new() };
            let as_own = batch.score(self.calibration, &own, &evidence)?;
            if self.has_classes {
                let taken: Vec<u32> = evidence.chunks_exact(count).map(best_class).collect();
                right += taken.iter().filter(|t| **t as usize == class).count();
                // Most images are taken for what they are, and scored already.
                let others = match taken == own {
                    true => None,
                    false => Some(batch.score(self.calibration, &taken, &evidence)?),
                };
                for (scored, class) in others.as_ref().unwrap_or(&as_own).iter().zip(taken) {
                    let foreign = scored.foreignness > self.none.value;
                    none.push(foreign);
                    inferred.add(self, class, foreign, scored);
                }
            }
            as_own.iter().for_each(|scored| given.add(self, class as u32, false, scored));
        }
        let labels: Vec<bool> =
            samples.iter().map(|s| self.features.test[*s].is_anomalous()).collect();
        let pixels = self.truth.size * self.truth.size;
        let mut masks = vec![false; samples.len() * pixels];
        for (i, s) in samples.iter().enumerate() {
            if let Some(mask) = &self.truth.masks[*s] {
                masks[i * pixels..(i + 1) * pixels].copy_from_slice(mask);
            }
        }
        let anomalous = labels.iter().filter(|l| **l).count();
        let mut out = DeployedClass {
            test_good: labels.len() - anomalous,
            test_anomalous: anomalous,
            given: given.outcome(&labels, &masks),
            ..Default::default()
        };
        if self.has_classes {
            out.inferred = Some(inferred.outcome(&labels, &masks));
            out.class_accuracy = Some(right as f64 / samples.len() as f64);
            out.none_of_good = share(&none, &labels, false);
            out.none_of_anomalous = share(&none, &labels, true);
        }
        Ok(out)
    }
}

/// The place of each score among all, equal for equal ones.
fn ranks(scores: &[f64]) -> Vec<f32> {
    let mut sorted = scores.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    scores.iter().map(|s| sorted.partition_point(|o| o < s) as f32).collect()
}

/// The share of `marked` among those of `labels` that are `which`.
fn share(marked: &[bool], labels: &[bool], which: bool) -> Option<f64> {
    let of: Vec<bool> =
        marked.iter().zip(labels).filter(|(_, l)| **l == which).map(|(m, _)| *m).collect();
    (!of.is_empty()).then(|| of.iter().filter(|m| **m).count() as f64 / of.len() as f64)
}

fn mean(classes: &BTreeMap<String, DeployedClass>) -> DeployedClass {
    let of = |get: &dyn Fn(&DeployedClass) -> Option<f64>| {
        let values: Vec<f64> = classes.values().filter_map(get).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let outcome = |get: fn(&DeployedClass) -> Option<&Outcome>| Outcome {
        image_auroc: of(&|c| get(c)?.image_auroc),
        pixel_auroc: of(&|c| get(c)?.pixel_auroc),
        false_alarm_rate: of(&|c| get(c)?.false_alarm_rate),
        detection_rate: of(&|c| get(c)?.detection_rate),
    };
    let sum = |get: fn(&DeployedClass) -> usize| classes.values().map(get).sum();
    let has_inferred = classes.values().any(|c| c.inferred.is_some());
    DeployedClass {
        calibration_images: sum(|c| c.calibration_images),
        guaranteed: classes.values().all(|c| c.guaranteed),
        caveat: None,
        threshold: of(&|c| Some(c.threshold)).unwrap_or_default(),
        test_good: sum(|c| c.test_good),
        test_anomalous: sum(|c| c.test_anomalous),
        given: outcome(|c| Some(&c.given)),
        inferred: has_inferred.then(|| outcome(|c| c.inferred.as_ref())),
        class_accuracy: of(&|c| c.class_accuracy),
        none_of_good: of(&|c| c.none_of_good),
        none_of_anomalous: of(&|c| c.none_of_anomalous),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_that_differ_by_less_than_32_bits_keep_their_order() {
        let scores = [1.0 - 1e-12, 1.0 - 1e-13, 0.3, 0.3];
        assert_eq!(ranks(&scores), [2.0, 3.0, 0.0, 0.0]);
    }

    #[test]
    fn shares() {
        let (marked, labels) = ([true, false, true, true], [false, false, true, false]);
        assert_eq!(share(&marked, &labels, false), Some(2.0 / 3.0));
        assert_eq!(share(&marked, &labels, true), Some(1.0));
        assert_eq!(share(&marked[..1], &labels[..1], true), None);
    }
}
