//! A sample of latent vectors in a plane.

use super::principal::Plane;
use super::{collect, marked_cells, short};
use crate::error::ExperimentError;
use crate::evaluate::Truth;
use crate::features::{Features, Part};
use crate::model::{LevelModel, Model};
use crate::places::{self, Place};
use candle_core::{DType, Device};
use hgad_parameters::seeded;
use hgad_report::{LatentClass, LatentLevel};

/// Latent vectors of one class, (n, D) row-major.
struct Drawn {
    normal: Vec<f32>,
    anomalous: Vec<f32>,
}

/// `count` vectors a class and level, half of them anomalous where there are so many, in the plane of
/// the first two principal components of the normal ones.
///
/// # Errors
/// What the flow gives; features that were removed.
pub fn latents(
    model: &Model,
    features: &Features,
    truth: &Truth,
    count: usize,
    seed: u64,
) -> Result<Vec<LatentLevel>, ExperimentError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let level = |l: usize| of_level(model, features, truth, count, seed, l);
    (0..model.levels.len()).map(level).collect()
}

fn of_level(
    model: &Model,
    features: &Features,
    truth: &Truth,
    count: usize,
    seed: u64,
    l: usize,
) -> Result<LatentLevel, ExperimentError> {
    let level = &model.levels[l];
    let dim = level.shape.channels;
    let read = |places: &[Place]| places::latents(features, Part::Test, (l, level), places);
    let mut drawn = Vec::new();
    for class in 0..model.classes.len() {
        let (normal, anomalous) = choose(level, features, truth, count, seed, class);
        drawn.push(Drawn { normal: read(&normal)?, anomalous: read(&anomalous)? });
    }
    let mut all: Vec<f32> = drawn.iter().flat_map(|d| d.normal.iter().copied()).collect();
    if all.is_empty() {
        all = drawn.iter().flat_map(|d| d.anomalous.iter().copied()).collect();
    }
    let sizes: Vec<_> = model.levels.iter().map(|l| (l.shape.height, l.shape.width)).collect();
    let level_name = collect::level_name(&sizes, l);
    let Some(plane) = Plane::fit(&all, dim) else {
        return Ok(LatentLevel { level: level_name, ..Default::default() });
    };
    let project = |v: &[f32]| plane.project(v).map(short);
    let centers = centers(level)?;
    let of_class = centers.len() == model.classes.len();
    let classes = model.classes.iter().zip(&drawn).enumerate().map(|(i, (class, d))| LatentClass {
        class: class.clone(),
        normal: d.normal.chunks_exact(dim).map(project).collect(),
        anomalous: d.anomalous.chunks_exact(dim).map(project).collect(),
        center: of_class.then(|| project(&centers[i])),
    });
    Ok(LatentLevel {
        level: level_name,
        explained: plane.explained.map(short),
        classes: classes.collect(),
        shared_center: centers.first().filter(|_| !of_class).map(|c| project(c)),
    })
}

/// Places drawn from the test images of a class: normal ones and anomalous ones.
fn choose(
    level: &LevelModel,
    features: &Features,
    truth: &Truth,
    count: usize,
    seed: u64,
    class: usize,
) -> (Vec<Place>, Vec<Place>) {
    let (mut normal, mut anomalous) = (Vec::new(), Vec::new());
    let shape = level.shape;
    for (i, _) in features.test.iter().enumerate().filter(|(_, s)| s.class == class) {
        let mask = truth.masks[i].as_deref();
        let cells = marked_cells(mask, truth.size, shape.height, shape.width);
        for (position, marked) in cells.into_iter().enumerate() {
            if marked { &mut anomalous } else { &mut normal }.push((i, position));
        }
    }
    let draw = |from: &[Place], count: usize, what: &str| -> Vec<Place> {
        let mut random = seeded(seed, &format!("report.{class}.{what}"));
        let mut chosen: Vec<Place> =
            random.permutation(from.len()).into_iter().take(count).map(|i| from[i]).collect();
        // Image by image, each is read once.
        chosen.sort_unstable();
        chosen
    };
    let anomalous = draw(&anomalous, count / 2, "anomalous");
    (draw(&normal, count - anomalous.len(), "normal"), anomalous)
}

/// Main centres of the prior, each (D).
fn centers(level: &LevelModel) -> Result<Vec<Vec<f32>>, ExperimentError> {
    match level.prior.main_centers()? {
        Some(c) => Ok(c.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec2()?),
        None => Ok(Vec::new()),
    }
}
