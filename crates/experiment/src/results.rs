//! `results.json`: what a run reached. The schema is described in `docs/results.md`.

use crate::config::Config;
use crate::deployed::Deployed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the schema.
pub const SCHEMA: u32 = 1;

/// The metrics of one class, or their mean over classes. `None` where a metric is undefined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Area under the ROC curve of image scores.
    pub image_auroc: Option<f64>,
    /// Area under the ROC curve of pixel scores.
    pub pixel_auroc: Option<f64>,
    /// Average precision of image scores.
    pub image_ap: Option<f64>,
    /// Average precision of pixel scores.
    pub pixel_ap: Option<f64>,
    /// Largest F1 over thresholds of image scores.
    pub image_f1max: Option<f64>,
    /// Largest F1 over thresholds of pixel scores.
    pub pixel_f1max: Option<f64>,
    /// Area under the per-region overlap curve up to `eval.aupro_limit`, over that limit.
    pub aupro: Option<f64>,
    /// Why something is undefined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undefined: Option<String>,
}

impl Metrics {
    /// The values in the order of the fields.
    pub fn values(&self) -> [Option<f64>; 7] {
        [
            self.image_auroc,
            self.pixel_auroc,
            self.image_ap,
            self.pixel_ap,
            self.image_f1max,
            self.pixel_f1max,
            self.aupro,
        ]
    }

    /// With the values in the order of the fields.
    pub fn from_values(values: [Option<f64>; 7], undefined: Option<String>) -> Self {
        let [image_auroc, pixel_auroc, image_ap, pixel_ap, image_f1max, pixel_f1max, aupro] =
            values;
        Self {
            image_auroc,
            pixel_auroc,
            image_ap,
            pixel_ap,
            image_f1max,
            pixel_f1max,
            aupro,
            undefined,
        }
    }

    /// The mean over `all`, metric by metric, over those where it is defined.
    pub fn mean<'a>(all: impl Iterator<Item = &'a Metrics> + Clone) -> Self {
        let left_out = all.clone().filter(|m| m.undefined.is_some()).count();
        let undefined =
            (left_out > 0).then(|| format!("{left_out} class(es) left out where undefined"));
        Self::from_values(std::array::from_fn(|i| mean(&defined(all.clone(), i))), undefined)
    }

    /// The standard deviation of a sample (n - 1 degrees of freedom), metric by metric, over those
    /// where it is defined; undefined for fewer than two.
    pub fn standard_deviation(all: &[Metrics]) -> Self {
        let of = |i: usize| {
            let values = defined(all.iter(), i);
            let mean = mean(&values).filter(|_| values.len() > 1)?;
            let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
            Some((squares / (values.len() - 1) as f64).sqrt())
        };
        Self::from_values(std::array::from_fn(of), None)
    }

    /// `self - other`, where both are defined.
    pub fn less(&self, other: &Self) -> Self {
        let (a, b) = (self.values(), other.values());
        Self::from_values(std::array::from_fn(|i| Some(a[i]? - b[i]?)), None)
    }
}

fn defined<'a>(all: impl Iterator<Item = &'a Metrics>, index: usize) -> Vec<f64> {
    all.filter_map(|m| m.values()[index]).collect()
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// One evaluation of the test set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Passes over the data the model had seen.
    pub pass: usize,
    /// Mean over classes.
    pub mean: Metrics,
    /// By class.
    pub classes: BTreeMap<String, Metrics>,
    /// Share of the test images whose class was inferred rightly, where it was inferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_accuracy: Option<f64>,
    /// The same as a deployed model scores, after the last pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployed: Option<Deployed>,
}

impl Evaluation {
    /// With the mean made from the classes.
    pub fn new(pass: usize, classes: BTreeMap<String, Metrics>) -> Self {
        let mean = Metrics::mean(classes.values());
        Self { pass, mean, classes, class_accuracy: None, deployed: None }
    }
}

/// Where the time went, in seconds of wall clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Seconds {
    /// Checking, decoding and feature extraction; near 0 where all were in the cache.
    pub features: f64,
    /// Training.
    pub training: f64,
    /// Evaluations of the test set.
    pub evaluation: f64,
    /// Pictures.
    pub maps: f64,
    /// The report.
    #[serde(default)]
    pub report: f64,
    /// All of it.
    pub total: f64,
}

impl Seconds {
    /// The mean over `all`, part by part.
    pub fn mean<'a>(all: impl Iterator<Item = &'a Seconds> + Clone) -> Self {
        let of = |part: fn(&Seconds) -> f64| {
            mean(&all.clone().map(part).collect::<Vec<_>>()).unwrap_or_default()
        };
        Self {
            features: of(|s| s.features),
            training: of(|s| s.training),
            evaluation: of(|s| s.evaluation),
            maps: of(|s| s.maps),
            report: of(|s| s.report),
            total: of(|s| s.total),
        }
    }
}

/// What computed it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Versions {
    /// Of this program.
    pub hgad: String,
    /// Instruction set the kernels ran on.
    pub isa: String,
    /// Threads.
    pub threads: usize,
    /// Target.
    pub target: String,
}

impl Versions {
    /// Of this program on this machine.
    pub fn here() -> Self {
        Self {
            hgad: env!("CARGO_PKG_VERSION").into(),
            isa: hgad_kernels::isa_name().into(),
            threads: rayon::current_num_threads(),
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        }
    }
}

/// The whole file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Experiment.
    pub name: String,
    /// Run.
    pub id: String,
    /// What computed it.
    pub versions: Versions,
    /// Where the time went.
    pub seconds: Seconds,
    /// Images trained on.
    pub train_images: usize,
    /// Normal images that were not trained on and calibrate the deployed scores.
    #[serde(default)]
    pub held_out_images: usize,
    /// Test images.
    pub test_images: usize,
    /// Numbers trained.
    pub parameters: usize,
    /// Passes over the data.
    pub passes: usize,
    /// Mean over classes after the last pass: the honest figure.
    pub mean: Metrics,
    /// By class after the last pass.
    pub classes: BTreeMap<String, Metrics>,
    /// Share of the test images whose class was inferred rightly, where `score.class` has it
    /// inferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_accuracy: Option<f64>,
    /// Scores, thresholds and classes as a deployed model gives them, after the last pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployed: Option<Deployed>,
    /// The pass with the best mean image AUROC on the test set, as the paper reports: chosen with
    /// test labels, so it flatters.
    pub best_on_test: Evaluation,
    /// The resolved configuration.
    pub settings: Config,
}
