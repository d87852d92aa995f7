//! Scores and metrics of the test set.

use crate::config::Config;
use crate::error::ExperimentError;
use crate::features::{Features, Part};
use crate::model::{LevelModel, Model};
use crate::predict::{best_class, combine_evidence};
use crate::progress::{Event, Observer};
use crate::results::{Evaluation, Metrics};
use hgad_datasets::Dataset;
use hgad_metrics::{MetricError, aupro, binary_metrics};
use hgad_scores::{Judged, LevelScores, MapConfig, Normal, ScoreError, ScoreRule, Wanted};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Where the test images are anomalous, loaded once for all evaluations.
pub struct Truth {
    /// A mask a test sample, (size, size) row-major; `None` for normal ones.
    pub masks: Vec<Option<Vec<bool>>>,
    /// Side of masks and maps.
    pub size: usize,
}

impl Truth {
    /// Loads the masks of all test samples on all cores.
    ///
    /// # Errors
    /// A mask that is missing, unreadable or of another size than its image.
    pub fn load(
        features: &Features,
        dataset: &dyn Dataset,
        size: usize,
    ) -> Result<Self, ExperimentError> {
        let masks = features
            .test
            .par_iter()
            .map(|sample| match dataset.mask(sample)? {
                Some(mask) => Ok(Some(features.transform.mask(&mask, size)?)),
                None => Ok(None),
            })
            .collect::<Result<_, ExperimentError>>()?;
        Ok(Self { masks, size })
    }
}

/// Anomaly maps of the test images of one class.
pub struct ClassMaps<'a> {
    /// Index of the class.
    pub class: usize,
    /// Indices of its test samples.
    pub samples: &'a [usize],
    /// Side of a map.
    pub size: usize,
    /// Image scores.
    pub scores: Vec<f32>,
    /// Maps one after the other.
    pub maps: Vec<f32>,
    /// The class the model took each for: its own where that is given.
    pub taken_for: Vec<u32>,
    /// The score terms that the maps are made of.
    pub levels: Vec<LevelScores>,
}

impl ClassMaps<'_> {
    /// The map of the `i`-th of `samples`.
    pub fn map(&self, i: usize) -> &[f32] {
        &self.maps[i * self.size * self.size..][..self.size * self.size]
    }

    /// The image score of the `i`-th of `samples`.
    pub fn image_score(&self, i: usize) -> f32 {
        self.scores[i]
    }
}

/// How maps are made, as `config` has it.
pub(crate) fn map_config(config: &Config) -> MapConfig {
    MapConfig {
        size: config.data.mask_size,
        sigma: config.score.sigma,
        top: config.score.top,
        soft: config.score.soft,
        temperatures: config.score.temperatures,
        sizes: config.backbone.pyramid,
        coarser: config.score.coarser,
        relative: config.score.relative,
        nearness: config.score.nearness,
        native: 0,
    }
}

/// The rule that `config` names; where it names none, the paper's product, or likelihood alone
/// under a prior without classes.
///
/// # Errors
/// An unknown name; a rule, or a class to be inferred, that the prior cannot serve.
pub fn score_rule(config: &Config, model: &Model) -> Result<Box<dyn ScoreRule>, ExperimentError> {
    let has_classes = model.has_classes()?;
    let name = match config.score.rule.as_str() {
        "" if has_classes => "product",
        "" => "likelihood",
        name => name,
    };
    let rule = hgad_scores::rule(name)?;
    if rule.needs_classes() && !has_classes {
        return Err(ScoreError::NoEntropy { rule: rule.name() }.into());
    }
    if config.score.class == "inferred" && !has_classes {
        return Err(ScoreError::NoClasses.into());
    }
    Ok(rule)
}

/// Maps of all test images, class by class, each given to `each` and dropped.
///
/// # Errors
/// What scoring and `each` give.
pub fn class_maps(
    config: &Config,
    model: &Model,
    features: &Features,
    mut each: impl FnMut(ClassMaps) -> Result<(), ExperimentError>,
) -> Result<(), ExperimentError> {
    model.track(false);
    let rule = score_rule(config, model)?;
    let map = map_config(config);
    let normal = match rule.needs_normal() {
        true => normal_of_classes(config, model, features)?,
        false => Vec::new(),
    };
    for class in 0..model.classes.len() {
        let samples = features.of_class(Part::Test, class);
        if samples.is_empty() {
            continue;
        }
        let chunk = config.train.chunk.max(4096);
        let taken_for = match config.score.class.as_str() {
            "inferred" => infer_classes(model, features, &samples, chunk)?,
            _ => vec![class as u32; samples.len()],
        };
        let wanted = Wanted { entropy: rule.needs_classes(), ..Wanted::default() };
        let mut levels = model
            .levels
            .iter()
            .enumerate()
            .map(|(l, level)| {
                level.scores(&taken_for, wanted, chunk, features.reader(Part::Test, &samples, l))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if rule.needs_normal() {
            for (l, level) in levels.iter_mut().enumerate() {
                level.normal = taken_for.iter().map(|c| normal[*c as usize][l].clone()).collect();
            }
        }
        let Judged { scores, maps } = rule.judge(samples.len(), &levels, &map)?;
        each(ClassMaps {
            class,
            samples: &samples,
            size: map.size,
            scores,
            maps,
            taken_for,
            levels,
        })?;
    }
    Ok(())
}

/// Normal images of a class that constants of maps come from.
pub(crate) const NORMAL_IMAGES: usize = 64;

/// What is usual in normal images of each class, by level: in some of those trained on, so that no image
/// that is judged, and no held-out one, moves a constant.
fn normal_of_classes(
    config: &Config,
    model: &Model,
    features: &Features,
) -> Result<Vec<Vec<Normal>>, ExperimentError> {
    let chunk = config.train.chunk.max(4096);
    let map = map_config(config);
    let of_class = |class: usize| {
        let samples = features.some_of_class(Part::Train, class, NORMAL_IMAGES);
        let labels = vec![class as u32; samples.len()];
        let of_level = |(l, level): (usize, &LevelModel)| {
            let read = features.reader(Part::Train, &samples, l);
            let wanted = Wanted { remembered: true, ..Wanted::default() };
            level.scores(&labels, wanted, chunk, read)
        };
        let levels =
            model.levels.iter().enumerate().map(of_level).collect::<Result<Vec<_>, _>>()?;
        let map = MapConfig { native: features.native[class], ..map.clone() };
        Ok(Normal::fit(samples.len(), &levels, &map)?)
    };
    (0..model.classes.len()).map(of_class).collect()
}

/// The most probable class of each of `samples` under the model's own posterior.
fn infer_classes(
    model: &Model,
    features: &Features,
    samples: &[usize],
    chunk: usize,
) -> Result<Vec<u32>, ExperimentError> {
    let of_level = |(l, level): (usize, &LevelModel)| {
        let read = features.reader(Part::Test, samples, l);
        level.class_evidence(samples.len(), chunk, read)
    };
    let levels = model.levels.iter().enumerate().map(of_level).collect::<Result<_, _>>()?;
    let evidence = combine_evidence(model, levels)?;
    Ok(evidence.chunks_exact(model.classes.len()).map(best_class).collect())
}

/// Metrics of the whole test set after `pass` passes.
///
/// # Errors
/// What scoring gives. A metric that is undefined for a class is told in its place.
pub fn evaluate(
    config: &Config,
    model: &Model,
    features: &Features,
    truth: &Truth,
    pass: usize,
    observer: &dyn Observer,
) -> Result<Evaluation, ExperimentError> {
    let mut classes = BTreeMap::new();
    let total = features.test.len() as u64;
    observer.event(Event::Begin { what: "evaluating", total, unit: "images" });
    let mut done = 0;
    let mut right = 0;
    class_maps(config, model, features, |of| {
        right += of.taken_for.iter().filter(|c| **c as usize == of.class).count();
        let metrics = class_metrics(&of, features, truth, config.eval.aupro_limit)?;
        done += of.samples.len() as u64;
        let state = &model.classes[of.class];
        observer.event(Event::Advance { done, state });
        classes.insert(model.classes[of.class].clone(), metrics);
        Ok(())
    })?;
    observer.event(Event::End);
    let mut evaluation = Evaluation::new(pass, classes);
    if config.score.class == "inferred" {
        evaluation.class_accuracy = Some(right as f64 / total.max(1) as f64);
    }
    Ok(evaluation)
}

/// Masks of the images of `of`, one after the other as their maps are.
pub fn pixel_masks(of: &ClassMaps, truth: &Truth) -> Vec<bool> {
    let pixels = of.size * of.size;
    let mut masks = vec![false; of.samples.len() * pixels];
    for (i, s) in of.samples.iter().enumerate() {
        if let Some(mask) = &truth.masks[*s] {
            masks[i * pixels..(i + 1) * pixels].copy_from_slice(mask);
        }
    }
    masks
}

fn class_metrics(
    of: &ClassMaps,
    features: &Features,
    truth: &Truth,
    limit: f64,
) -> Result<Metrics, ExperimentError> {
    let labels: Vec<bool> = of.samples.iter().map(|s| features.test[*s].is_anomalous()).collect();
    let masks = pixel_masks(of, truth);
    let mut out = Metrics::default();
    let mut why = Vec::new();
    let mut note = |part: &str, error: MetricError| why.push(format!("{part}: {error}"));
    match binary_metrics(&of.scores, &labels) {
        Ok(m) => {
            out.image_auroc = Some(m.auroc);
            out.image_ap = Some(m.ap);
            out.image_f1max = Some(m.f1_max);
        }
        Err(e) => note("image metrics", e),
    }
    match binary_metrics(&of.maps, &masks) {
        Ok(m) => {
            out.pixel_auroc = Some(m.auroc);
            out.pixel_ap = Some(m.ap);
            out.pixel_f1max = Some(m.f1_max);
        }
        Err(e) => note("pixel metrics", e),
    }
    match aupro(&of.maps, &masks, of.size, of.size, limit) {
        Ok(v) => out.aupro = Some(v),
        Err(e) => note("aupro", e),
    }
    out.undefined = (!why.is_empty()).then(|| why.join("; "));
    Ok(out)
}
