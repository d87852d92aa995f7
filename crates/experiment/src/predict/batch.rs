//! Some images after the flow: their classes and maps without going through it again.

use crate::calibration::Calibration;
use crate::error::ExperimentError;
use crate::model::{Model, host};
use candle_core::{Device, Tensor};
use hgad_scores::{LevelScores, Wanted, atypicality, class_evidence, class_margin};
use rayon::prelude::*;

/// Latents and log-determinants of some images, by level.
pub(crate) struct Batch<'a> {
    model: &'a Model,
    images: usize,
    latents: Vec<(Tensor, Tensor)>,
}

/// One image scored as one class.
pub(crate) struct Scored {
    /// Its score before it is ranked.
    pub(crate) value: f32,
    /// The map before it is scaled, (size, size).
    pub(crate) map: Vec<f32>,
    /// How unlike the class the image is as a whole, in deviations.
    pub(crate) foreignness: f64,
}

impl<'a> Batch<'a> {
    /// `read` is given a level and an image, and appends its map.
    pub(crate) fn new(
        model: &'a Model,
        images: usize,
        chunk: usize,
        mut read: impl FnMut(usize, usize, &mut Vec<f32>) -> Result<(), ExperimentError>,
    ) -> Result<Self, ExperimentError> {
        let latents = model
            .levels
            .iter()
            .enumerate()
            .map(|(l, level)| level.infer(images, chunk, |i, x| read(l, i, x)))
            .collect::<Result<_, _>>()?;
        Ok(Self { model, images, latents })
    }

    /// The log-posterior of each class over each image up to a constant, (images, C) row-major, in
    /// nats.
    pub(crate) fn class_evidence(&self) -> Result<Vec<f64>, ExperimentError> {
        let of_level = |(level, (z, _)): (&crate::model::LevelModel, &(Tensor, Tensor))| {
            Ok(host(&class_evidence(level.prior.as_ref(), z)?)?)
        };
        let all = self.model.levels.iter().zip(&self.latents).map(of_level);
        combine_evidence(self.model, all.collect::<Result<_, ExperimentError>>()?)
    }

    /// Every image scored as its class in `classes`, with the [`Batch::class_evidence`] of all; without
    /// any, nothing is said of other classes.
    pub(crate) fn score(
        &self,
        calibration: &Calibration,
        classes: &[u32],
        evidence: &[f64],
    ) -> Result<Vec<Scored>, ExperimentError> {
        let wanted = Wanted { entropy: calibration.evidence.has_entropy(), ..Wanted::default() };
        let levels: Vec<LevelScores> = self
            .model
            .levels
            .iter()
            .zip(&self.latents)
            .map(|(level, latents)| level.terms(classes, wanted, latents))
            .collect::<Result<_, _>>()?;
        let count = self.model.classes.len();
        let margin = |i: usize| {
            let own = evidence.get(i * count..(i + 1) * count)?;
            class_margin(own, classes[i] as usize, positions(self.model))
        };
        (0..self.images)
            .into_par_iter()
            .map(|i| {
                let own: Vec<LevelScores> = levels.iter().map(|l| l.image(i)).collect();
                let constants = &calibration.classes[classes[i] as usize].constants;
                let (value, map) = constants.judge(calibration.evidence, &own, &calibration.map)?;
                Ok(Scored {
                    value,
                    map,
                    foreignness: constants.foreignness(atypicality(&own, 0), margin(i)),
                })
            })
            .collect()
    }
}

/// Positions of an image at all levels together.
pub(crate) fn positions(model: &Model) -> usize {
    model.levels.iter().map(|l| l.shape.positions()).sum()
}

/// Sums the [`class_evidence`] of all levels, (images, C) each, and adds the class weights.
pub(crate) fn combine_evidence(
    model: &Model,
    levels: Vec<Vec<f32>>,
) -> Result<Vec<f64>, ExperimentError> {
    let classes = model.classes.len();
    let mut all = vec![0.0f64; levels.first().map_or(0, Vec::len)];
    for (level, evidence) in model.levels.iter().zip(levels) {
        all.iter_mut().zip(evidence).for_each(|(e, v)| *e += v as f64);
        if let Some(weights) = level.prior.log_class_weights()? {
            let weights = weights.to_device(&Device::Cpu)?.to_vec1::<f32>()?;
            // Each level has weights of its own: their mean counts once.
            let share = 1.0 / model.levels.len() as f64;
            for row in all.chunks_exact_mut(classes) {
                row.iter_mut().zip(&weights).for_each(|(e, w)| *e += share * *w as f64);
            }
        }
    }
    Ok(all)
}
