//! Collects what a report shows while the test images are scored.

use super::deployed_maps::{deployed_maps, image_scores, threshold};
use super::{gallery, likelihoods::Likelihoods, short};
use crate::calibration::Calibration;
use crate::config::ReportConfig;
use crate::data::Data;
use crate::error::ExperimentError;
use crate::evaluate::{ClassMaps, Truth, pixel_masks};
use crate::features::Features;
use hgad_metrics::{Curves, curves};
use hgad_report::{ClassCurves, CurvePair, GalleryClass, ImageScores, LevelLikelihoods, Threshold};
use std::time::Instant;

/// Vertices of a curve.
const VERTICES: usize = 160;
/// Pictures in all; where classes are many each has fewer, but two.
const PICTURES: usize = 120;

/// The name of the `l`-th of levels of these rows and columns: by them, and numbered where several are of the
/// same size, as stride 8 of a small image and stride 16 of a large one are.
pub fn level_name(sizes: &[(usize, usize)], l: usize) -> String {
    let (height, width) = sizes[l];
    let alike = |levels: &[(usize, usize)]| levels.iter().filter(|s| **s == sizes[l]).count();
    match alike(sizes) {
        1 => format!("{height} × {width}"),
        _ => format!("{height} × {width} ({})", alike(&sizes[..=l])),
    }
}

/// Histograms, curves and pictures, class by class.
pub struct Collector<'a> {
    features: &'a Features,
    data: &'a Data,
    truth: &'a Truth,
    calibration: &'a Calibration,
    pictures: usize,
    likelihoods: Likelihoods,
    /// So far, of calibrated classes.
    pub image_scores: Vec<ImageScores>,
    /// So far.
    pub curves: Vec<ClassCurves>,
    /// So far.
    pub gallery: Vec<GalleryClass>,
    /// What collecting took.
    pub seconds: f64,
}

impl<'a> Collector<'a> {
    /// Of nothing yet.
    pub fn new(
        config: &ReportConfig,
        features: &'a Features,
        data: &'a Data,
        truth: &'a Truth,
        calibration: &'a Calibration,
    ) -> Self {
        let most = PICTURES / data.dataset.classes().len().max(1);
        Self {
            features,
            data,
            truth,
            calibration,
            pictures: config.gallery.min(most.max(2)),
            likelihoods: Likelihoods::default(),
            image_scores: Vec::new(),
            curves: Vec::new(),
            gallery: Vec::new(),
            seconds: 0.0,
        }
    }

    /// The images of one class. Where normal images of it were held out, the gallery has the deployed
    /// model's maps with contours at the calibrated threshold; else those of the score rule, at the
    /// threshold of the best pixel F1, which test labels choose.
    ///
    /// # Errors
    /// An image that can no longer be read.
    pub fn add(&mut self, of: &ClassMaps, class: &str) -> Result<(), ExperimentError> {
        let started = Instant::now();
        self.likelihoods.add(of, self.truth, class);
        let scores: Vec<f32> = (0..of.samples.len()).map(|i| of.image_score(i)).collect();
        let labels: Vec<bool> =
            of.samples.iter().map(|s| self.features.test[*s].is_anomalous()).collect();
        // A class without normal or anomalous images has no curve; its table says why.
        let image = curves(&scores, &labels, VERTICES).ok();
        let pixel = curves(&of.maps, &pixel_masks(of, self.truth), VERTICES).ok();
        let deployed = deployed_maps(of, self.calibration)?;
        let threshold = match &deployed {
            Some(_) => Some(threshold(self.calibration, of.class)),
            None => pixel.as_ref().map(|c| Threshold {
                value: f64::from(c.best.threshold),
                origin: "that of the best pixel F1, chosen with test labels".into(),
                calibrated: false,
            }),
        };
        if let Some((deployed, threshold)) = deployed.as_ref().zip(threshold.as_ref()) {
            self.image_scores.push(image_scores(deployed, self.features, class, threshold));
        }
        self.curves.push(ClassCurves {
            class: class.into(),
            image: image.map(pair).unwrap_or_default(),
            pixel: pixel.map(pair).unwrap_or_default(),
        });
        if self.pictures > 0 {
            let (features, data, truth) = (self.features, self.data, self.truth);
            let (of, count) = (deployed.as_ref().unwrap_or(of), self.pictures);
            self.gallery
                .push(gallery::of_class(of, features, data, truth, class, count, threshold)?);
        }
        self.seconds += started.elapsed().as_secs_f64();
        Ok(())
    }

    /// Histograms of all classes.
    pub fn likelihoods(&mut self) -> Vec<LevelLikelihoods> {
        std::mem::take(&mut self.likelihoods).finish()
    }
}

fn pair(c: Curves) -> CurvePair {
    let roc = c.roc.iter().map(|p| [p.false_positive_rate, p.true_positive_rate]);
    let pr = c.precision_recall.iter().map(|p| [p.recall, p.precision]);
    let points = |p: [f64; 2]| p.map(|v| short(v as f32));
    CurvePair { roc: roc.map(points).collect(), precision_recall: pr.map(points).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_one_size_are_told_apart() {
        let sizes = [(64, 64), (32, 32), (32, 32), (16, 16)];
        let names: Vec<String> = (0..4).map(|l| level_name(&sizes, l)).collect();
        assert_eq!(names, ["64 × 64", "32 × 32 (1)", "32 × 32 (2)", "16 × 16"]);
    }
}
