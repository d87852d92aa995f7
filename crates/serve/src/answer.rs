//! What is said of an image, as JSON.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hgad_experiment::Prediction;
use hgad_experiment::predict::{MapFormat, Region};
use serde::Serialize;
use std::collections::BTreeMap;

/// The body of an answer.
#[derive(Serialize)]
pub struct Answer {
    /// One an image, in their order.
    pub predictions: Vec<Said>,
}

/// One image; the names are those of `predictions.jsonl`.
#[derive(Serialize)]
pub struct Said {
    /// The file's name.
    pub name: String,
    /// Its class; null where it is none of the model's.
    pub class: Option<String>,
    /// The class whose constants and threshold were used.
    pub scored_as: String,
    /// By class.
    pub class_probabilities: BTreeMap<String, f64>,
    /// Between 0 and 1.
    pub score: f64,
    /// The score above which an image is anomalous.
    pub threshold: f64,
    /// Whether the threshold keeps the false-alarm rate by the conformal guarantee.
    pub guaranteed: bool,
    /// `normal` or `anomalous`.
    pub verdict: &'static str,
    /// Boxes in pixels of the image.
    pub regions: Vec<Region>,
    /// Left, top, width and height of the square that was looked at, in pixels of the image.
    pub square: [f64; 4],
    /// The anomaly map, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<Map>,
    /// The image with the map over it as PNG in base64, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlay: Option<String>,
}

/// A map as a file.
#[derive(Serialize)]
pub struct Map {
    /// `png`: 16-bit grey, 65535 is 1; `npy`: float32. The threshold is 0.5.
    pub format: &'static str,
    /// Its side in pixels.
    pub size: usize,
    /// The file in base64.
    pub data: String,
}

impl Said {
    /// Without pictures.
    pub fn new(name: String, prediction: &Prediction, classes: &[String]) -> Self {
        let probabilities = classes.iter().cloned().zip(prediction.class_probabilities.clone());
        Self {
            name,
            class: prediction.class.clone(),
            scored_as: prediction.scored_as.clone(),
            class_probabilities: probabilities.collect(),
            score: prediction.score,
            threshold: prediction.threshold,
            guaranteed: prediction.guaranteed,
            verdict: if prediction.anomalous { "anomalous" } else { "normal" },
            regions: prediction.regions.clone(),
            square: prediction.square,
            map: None,
            overlay: None,
        }
    }

    /// With the map as a file of that format.
    pub fn add_map(
        &mut self,
        format: MapFormat,
        prediction: &Prediction,
    ) -> Result<(), hgad_experiment::ExperimentError> {
        let data = BASE64_STANDARD.encode(format.encode(prediction)?);
        self.map = Some(Map { format: format.extension(), size: prediction.map_size, data });
        Ok(())
    }

    /// With the overlay, a PNG.
    pub fn add_overlay(&mut self, png: &[u8]) {
        self.overlay = Some(BASE64_STANDARD.encode(png));
    }
}
