//! What a report holds.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::contour::Ring;

/// Version of what is stored; another one is not read.
pub const SCHEMA: u32 = 1;

/// Everything that a page shows of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The experiment.
    pub name: String,
    /// The run.
    pub id: String,
    /// One line on the experiment.
    pub about: String,
    /// The data set's full name.
    pub data_set: String,
    /// Counts and such, each a label and a value.
    pub facts: Vec<(String, String)>,
    /// By class and their mean.
    pub scores: ScoreTable,
    /// What training went through.
    pub training: Training,
    /// Log-likelihoods of feature vectors, a level each.
    pub likelihoods: Vec<LevelLikelihoods>,
    /// Scores of the calibrated model, a class each; empty of a run that is not calibrated.
    #[serde(default)]
    pub image_scores: Vec<ImageScores>,
    /// Curves by class.
    pub curves: Vec<ClassCurves>,
    /// The latent space, a level each.
    pub latents: Vec<LatentLevel>,
    /// Pictures by class.
    pub gallery: Vec<GalleryClass>,
    /// Side of maps and masks in pixels.
    pub map_size: usize,
    /// Keys and values of the configuration.
    pub settings: Vec<(String, String)>,
    /// Programs and machine.
    pub versions: Vec<(String, String)>,
    /// Where the time went, in seconds.
    pub seconds: Vec<(String, f64)>,
}

/// A metric that tables have a column of; its values lie between 0 and 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Short title.
    pub title: String,
    /// What it is, in a sentence.
    pub about: String,
}

/// Metrics by class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoreTable {
    /// Columns.
    pub metrics: Vec<Metric>,
    /// A row a class.
    pub classes: Vec<ScoreRow>,
    /// The mean over classes after the last pass.
    pub mean: ScoreRow,
    /// The best pass on the test set.
    pub best: Option<BestPass>,
}

/// The metrics of one class, or their mean.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScoreRow {
    /// The class.
    pub name: String,
    /// In the order of the columns; `None` where undefined.
    pub values: Vec<Option<f64>>,
    /// What the paper reports, in the same order.
    pub published: Vec<Option<f64>>,
    /// Why something is undefined.
    pub undefined: Option<String>,
}

/// A pass chosen with test labels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BestPass {
    /// Its number, from 1.
    pub pass: usize,
    /// Mean over classes, in the order of the columns.
    pub values: Vec<Option<f64>>,
}

/// Losses over passes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// In order.
    pub passes: Vec<Pass>,
    /// The number of the first pass of the second stage, where there are two.
    pub second_stage: Option<usize>,
}

/// One pass over the training data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pass {
    /// From 1.
    pub pass: usize,
    /// Weighted sum of the terms.
    pub loss: f64,
    /// Each term before its weight.
    pub terms: Vec<(String, f64)>,
    /// Learning rate.
    pub rate: f64,
    /// Mean image AUROC on the test set, where it was evaluated.
    pub image_auroc: Option<f64>,
    /// Mean pixel AUROC, likewise.
    pub pixel_auroc: Option<f64>,
}

/// Log-likelihoods of the feature vectors of one level.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LevelLikelihoods {
    /// The level, such as `16 × 16`.
    pub level: String,
    /// The left end of the first bin, nats a dimension; what lies below counts in the first.
    pub low: f64,
    /// The right end of the last bin; what lies above counts in the last.
    pub high: f64,
    /// A histogram a class.
    pub classes: Vec<Histogram>,
}

/// How many vectors fall into each bin.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// The class.
    pub class: String,
    /// Vectors where the mask is empty.
    pub normal: Vec<u64>,
    /// Vectors where the mask marks something.
    pub anomalous: Vec<u64>,
}

/// How test images of one class lie to its calibrated threshold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageScores {
    /// The largest values of the images' maps, in bins between 0 and 1.
    pub counts: Histogram,
    /// An image above it is called anomalous.
    pub threshold: Threshold,
    /// Share of the normal images above it; `None` of none.
    pub false_alarms: Option<f64>,
    /// Share of the anomalous images above it; `None` of none.
    pub found: Option<f64>,
}

/// The curves of one class; a curve is empty where it is undefined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassCurves {
    /// The class.
    pub class: String,
    /// Of image scores.
    pub image: CurvePair,
    /// Of pixel scores.
    pub pixel: CurvePair,
}

/// Two curves of the same scores.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CurvePair {
    /// False and true positive rate, from (0, 0) to (1, 1), joined by lines.
    pub roc: Vec<[f32; 2]>,
    /// Recall and precision, from the lowest recall to the highest, joined by steps.
    pub precision_recall: Vec<[f32; 2]>,
}

/// Latent vectors of one level in the plane of their first two principal components.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatentLevel {
    /// The level, such as `16 × 16`.
    pub level: String,
    /// Shares of the variance of normal vectors along the two axes.
    pub explained: [f32; 2],
    /// The vectors.
    pub classes: Vec<LatentClass>,
    /// A centre that serves all classes.
    pub shared_center: Option<[f32; 2]>,
}

/// Latent vectors of one class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatentClass {
    /// The class.
    pub class: String,
    /// Where the mask is empty.
    pub normal: Vec<[f32; 2]>,
    /// Where the mask marks something.
    pub anomalous: Vec<[f32; 2]>,
    /// The class's main centre in the prior.
    pub center: Option<[f32; 2]>,
}

/// Pictures of one class.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GalleryClass {
    /// The class.
    pub class: String,
    /// Where contours are drawn; none are without it.
    pub threshold: Option<Threshold>,
    /// In the order they are shown in.
    pub images: Vec<GalleryImage>,
}

/// A threshold of anomaly maps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// A pixel at or above it is called anomalous.
    pub value: f64,
    /// How it was chosen, in words.
    pub origin: String,
    /// Whether normal images that were held out from training chose it, so that values are those of
    /// the deployed model; else test labels did, and values are those of the score rule.
    #[serde(default)]
    pub calibrated: bool,
}

/// Why an image is in the gallery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Its contour is among those that fit their mask best.
    Best,
    /// Its contour is among those that fit their mask worst.
    Worst,
    /// Chosen without regard to the model, so that other runs on the data have it too.
    #[default]
    Fixed,
    /// Normal, and its score among the highest of normal images.
    Normal,
}

/// A test image with what the model makes of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GalleryImage {
    /// Name of the image in its data set.
    pub id: String,
    /// The kind of defect; `None` for a normal image.
    pub defect: Option<String>,
    /// Why it is here.
    pub reason: Reason,
    /// Score of the image.
    pub score: f64,
    /// F1 of the contour's pixels against the mask's; `None` for a normal image.
    pub f1: Option<f64>,
    /// The image.
    pub input: Picture,
    /// The anomaly map in colours.
    pub map: Picture,
    /// Outlines of the true defect.
    pub mask: Vec<Ring>,
    /// Outlines of the map at the threshold.
    pub contour: Vec<Ring>,
}

/// A JPEG picture, base64.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Picture(String);

impl Picture {
    /// From the bytes of a JPEG file.
    pub fn jpeg(bytes: &[u8]) -> Self {
        Self(STANDARD.encode(bytes))
    }

    /// As an address that holds the picture itself; without one where the base64 is not valid, so
    /// that a damaged file cannot bring anything else into the page.
    pub(crate) fn address(&self) -> String {
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"+/=".contains(&c);
        match self.0.bytes().all(fits) {
            true => format!("data:image/jpeg;base64,{}", self.0),
            false => "data:,".into(),
        }
    }
}
