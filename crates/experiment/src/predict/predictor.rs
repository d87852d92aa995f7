//! A model with its backbone and calibration, ready for images.

use super::batch::{Batch, Scored, positions};
use super::pictures::{backdrop, overlay, picture};
use super::prediction::{Prediction, regions};
use crate::calibration::Calibration;
use crate::device;
use crate::error::ExperimentError;
use crate::features::{patches, transform};
use crate::model::Model;
use crate::model_file::{ModelFile, ModelHeader};
use candle_core::{Device, Tensor};
use hgad_backbones::{Backbone, extract_pyramid};
use hgad_datasets::Transform;
use hgad_scores::Threshold;
use image::RgbImage;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// How a model is loaded.
#[derive(Clone, Debug, Default)]
pub struct PredictorOptions {
    /// The backbone's weights, where the model's file holds none.
    pub weights: Option<PathBuf>,
    /// Another false-alarm rate than the one it was calibrated for, between 0 and 1.
    pub false_alarm_rate: Option<f64>,
    /// Where flow and prior are computed, as the setting `device`; empty: as they were trained.
    pub device: String,
}

/// The class of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClassChoice {
    /// From the model's posterior; it may be none of them.
    #[default]
    Inferred,
    /// Known, by name.
    Given(String),
}

/// An image as the backbone takes it, with the size it had.
#[derive(Clone, Debug)]
pub struct Prepared {
    pixels: Vec<f32>,
    width: u32,
    height: u32,
}

/// A trained model at work. It is shared between threads as it is (`&self`); a call uses the cores of
/// the rayon pool it is made in.
pub struct Predictor {
    header: ModelHeader,
    calibration: Calibration,
    model: Model,
    backbone: Box<dyn Backbone>,
    transform: Transform,
    has_classes: bool,
    rate: f64,
    /// By class.
    thresholds: Vec<Threshold>,
    none: Threshold,
}

impl Predictor {
    /// The model at `path`: a `model.safetensors`, or the folder of a run that holds one.
    ///
    /// # Errors
    /// A file that is no model of this program, or has no calibration; a backbone whose weights are
    /// neither in it nor given, or are others than it was trained on.
    pub fn load(path: &Path, options: &PredictorOptions) -> Result<Self, ExperimentError> {
        let path = if path.is_dir() { path.join("model.safetensors") } else { path.to_path_buf() };
        let mut file = ModelFile::read(&path)?;
        if !options.device.is_empty() {
            file.header.config.device = options.device.clone();
        }
        let wrong = |reason: &str| ExperimentError::File { path, reason: reason.into() };
        let calibration = file.header.calibration.clone().filter(Calibration::is_current);
        let calibration = calibration.ok_or_else(|| {
            wrong("it has no calibration of this version: it was written by an earlier one; `hgad evaluate RUN --recalibrate` adds one")
        })?;
        let rate = options.false_alarm_rate.unwrap_or(calibration.rates.false_alarm_rate);
        if !(rate > 0.0 && rate < 1.0) {
            return Err(ExperimentError::Setting {
                key: "false-alarm rate",
                value: rate.to_string(),
                reason: "expected a rate between 0 and 1, such as 0.05".into(),
            });
        }
        let (model, backbone) = {
            let device = device::open(&file.header.config)?;
            let model = file.model(&device)?;
            model.track(false);
            (model, file.backbone(options.weights.as_deref())?)
        };
        let transform = transform(&file.header.config, backbone.as_ref());
        Ok(Self {
            has_classes: model.has_classes()?,
            thresholds: calibration.classes.iter().map(|c| c.threshold(rate)).collect(),
            none: calibration.foreign.threshold(calibration.rates.none_rate),
            header: file.header,
            calibration,
            model,
            backbone,
            transform,
            rate,
        })
    }

    /// Names of the classes, in the order of [`Prediction::class_probabilities`].
    pub fn classes(&self) -> &[String] {
        &self.model.classes
    }

    /// What the model was made from.
    pub fn header(&self) -> &ModelHeader {
        &self.header
    }

    /// Constants and score distributions.
    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    /// From images to what the backbone takes.
    pub fn transform(&self) -> &Transform {
        &self.transform
    }

    /// The false-alarm rate of the thresholds.
    pub fn false_alarm_rate(&self) -> f64 {
        self.rate
    }

    /// Whether it can tell classes apart; else every image's class must be given.
    pub fn infers_classes(&self) -> bool {
        self.has_classes
    }

    /// Classes whose threshold promises nothing at this rate, each with the reason.
    pub fn caveats(&self) -> Vec<(&str, String)> {
        let pairs = self.classes().iter().zip(&self.calibration.classes);
        pairs.filter_map(|(name, c)| Some((name.as_str(), c.caveat(self.rate)?))).collect()
    }

    /// The index of a class.
    ///
    /// # Errors
    /// The model does not know it.
    pub fn knows(&self, class: &str) -> Result<u32, ExperimentError> {
        match self.classes().iter().position(|c| c == class) {
            Some(index) => Ok(index as u32),
            None => Err(ExperimentError::Setting {
                key: "class",
                value: class.into(),
                reason: format!("the model knows the classes {}", self.classes().join(", ")),
            }),
        }
    }

    /// Resizes, crops and normalizes; for threads that load ahead.
    ///
    /// # Errors
    /// An empty image.
    pub fn prepare(&self, image: &RgbImage) -> Result<Prepared, ExperimentError> {
        let (width, height) = image.dimensions();
        Ok(Prepared { pixels: self.transform.image(image)?, width, height })
    }

    /// What the model says of each image; `classes` has one choice an image, or one for all.
    ///
    /// # Errors
    /// A class the model does not know; a class to be inferred under a prior without classes; an empty
    /// image.
    pub fn predict(
        &self,
        images: &[RgbImage],
        classes: &[ClassChoice],
    ) -> Result<Vec<Prediction>, ExperimentError> {
        let prepared = images.par_iter().map(|i| self.prepare(i)).collect::<Result<Vec<_>, _>>()?;
        self.predict_prepared(&prepared, classes)
    }

    /// [`Predictor::predict`] of images from [`Predictor::prepare`].
    ///
    /// # Errors
    /// As [`Predictor::predict`].
    pub fn predict_prepared(
        &self,
        images: &[Prepared],
        classes: &[ClassChoice],
    ) -> Result<Vec<Prediction>, ExperimentError> {
        if images.is_empty() {
            return Ok(Vec::new());
        }
        let given = self.given(images.len(), classes)?;
        let batch = self.latents(images)?;
        let evidence = if self.has_classes { batch.class_evidence()? } else { Vec::new() };
        let count = self.classes().len();
        let row = |i: usize| evidence.get(i * count..(i + 1) * count).unwrap_or_default();
        let taken: Vec<u32> = given
            .iter()
            .enumerate()
            .map(|(i, g)| g.unwrap_or_else(|| best_class(row(i))))
            .collect();
        let scored = batch.score(&self.calibration, &taken, &evidence)?;
        let positions = positions(&self.model);
        scored
            .into_par_iter()
            .enumerate()
            .map(|(i, scored)| {
                let class = taken[i] as usize;
                let foreign = given[i].is_none() && scored.foreignness > self.none.value;
                let probabilities = posterior(row(i), positions);
                self.prediction(&images[i], class, foreign, scored, probabilities)
            })
            .collect()
    }

    /// The square of `image` that is looked at, for [`Predictor::overlay`] to draw on.
    ///
    /// # Errors
    /// An empty image.
    pub fn backdrop(&self, image: &RgbImage) -> Result<RgbImage, ExperimentError> {
        backdrop(image, &self.transform, self.calibration.map.size)
    }

    /// The square of an image, from [`Predictor::backdrop`], with its map over it and the boxes of the
    /// regions, as PNG.
    ///
    /// # Errors
    /// It cannot be encoded.
    pub fn overlay(
        &self,
        square: &RgbImage,
        prediction: &Prediction,
    ) -> Result<Vec<u8>, ExperimentError> {
        picture(&overlay(square, prediction))
    }

    fn prediction(
        &self,
        image: &Prepared,
        class: usize,
        foreign: bool,
        scored: Scored,
        class_probabilities: Vec<f64>,
    ) -> Result<Prediction, ExperimentError> {
        let threshold = self.thresholds[class];
        let calibrated = &self.calibration.classes[class];
        let name = self.classes()[class].clone();
        let value = f64::from(scored.value);
        let map = scaled(scored.map, threshold.value);
        let map_size = self.calibration.map.size;
        let square = self.transform.region(image.width, image.height)?;
        let anomalous = foreign || value > threshold.value;
        // Where the score is a mean of the largest values, single pixels of a normal image may exceed it.
        let regions = match anomalous {
            true => regions(&map, map_size, square, (image.width, image.height))?,
            false => Vec::new(),
        };
        Ok(Prediction {
            class: (!foreign).then(|| name.clone()),
            scored_as: name,
            class_probabilities,
            score: calibrated.constants.scores.score(value),
            threshold: threshold.score,
            guaranteed: calibrated.guarantees(self.rate),
            anomalous,
            regions,
            map_size,
            map,
            square,
        })
    }

    /// The class of each image where it is given.
    fn given(
        &self,
        images: usize,
        choices: &[ClassChoice],
    ) -> Result<Vec<Option<u32>>, ExperimentError> {
        let one = choices.len() == 1;
        if choices.len() != images && !one {
            return Err(ExperimentError::Setting {
                key: "classes",
                value: choices.len().to_string(),
                reason: format!("expected one choice for all, or one for each of {images} images"),
            });
        }
        (0..images)
            .map(|i| match &choices[if one { 0 } else { i }] {
                ClassChoice::Inferred if !self.has_classes => {
                    Err(hgad_scores::ScoreError::NoClasses.into())
                }
                ClassChoice::Inferred => Ok(None),
                ClassChoice::Given(name) => self.knows(name).map(Some),
            })
            .collect()
    }

    fn latents(&self, images: &[Prepared]) -> Result<Batch<'_>, ExperimentError> {
        let side = self.transform.img_size;
        let mut pixels = Vec::with_capacity(images.len() * side * side * 3);
        images.iter().for_each(|i| pixels.extend_from_slice(&i.pixels));
        let images_tensor = Tensor::from_vec(pixels, (images.len(), side, side, 3), &Device::Cpu)?;
        let config = &self.header.config;
        let maps = extract_pyramid(
            self.backbone.as_ref(),
            &images_tensor,
            config.backbone.pyramid,
            &patches(config),
        )?;
        let maps: Vec<Vec<f32>> =
            maps.iter().map(|m| m.flatten_all()?.to_vec1::<f32>()).collect::<Result<_, _>>()?;
        let chunk = config.train.chunk.max(4096);
        Batch::new(&self.model, images.len(), chunk, |level, i, x| {
            let len = self.header.shapes[level].len();
            x.extend_from_slice(&maps[level][i * len..(i + 1) * len]);
            Ok(())
        })
    }
}

/// `m / (m + t)`: between 0 and below 1, and 0.5 at the threshold `t`.
pub(crate) fn scaled(mut map: Vec<f32>, threshold: f64) -> Vec<f32> {
    let t = (threshold as f32).max(f32::MIN_POSITIVE);
    map.iter_mut().for_each(|m| *m /= *m + t);
    map
}

/// The class with the largest evidence.
pub(crate) fn best_class(evidence: &[f64]) -> u32 {
    let largest = evidence.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    largest.map_or(0, |(class, _)| class as u32)
}

/// The posterior of a mean position: the evidence of all would be certain of anything.
fn posterior(evidence: &[f64], positions: usize) -> Vec<f64> {
    let largest = evidence.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> =
        evidence.iter().map(|e| ((e - largest) / positions.max(1) as f64).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}

// Shared between the threads of a server.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Predictor>();
};
