//! `flow/DDIM_NVECTORS/forward` and `.../train_step`: a level of the method, 12 blocks on a
//! position code of 256 channels, batch 8.

use super::training::Training;
use crate::case::{Plan, Setup};
use crate::error::BenchError;
use candle_core::{Device, Tensor};
use hgad_experiment::step::Maps;
use hgad_experiment::{ExperimentError, LevelShape};
use hgad_parameters::seeded;
use std::borrow::Cow;

const IMAGES: usize = 8;

/// Channels, side of the map, classes.
const CASES: [(usize, usize, usize); 3] = [(200, 16, 15), (200, 32, 15), (112, 16, 5)];

pub(crate) fn plans() -> Vec<Plan> {
    let unit = "µs a vector";
    CASES
        .into_iter()
        .flat_map(|(dim, side, classes)| {
            let name = format!("flow/D{dim}_N{}", IMAGES * side * side);
            let shape = LevelShape { height: side, width: side, channels: dim };
            [
                Plan::new(format!("{name}/forward"), unit, move |s| forward(shape, classes, s)),
                Plan::new(format!("{name}/train_step"), unit, move |s| step(shape, classes, s)),
            ]
        })
        .collect()
}

/// Standard normal features of all images.
fn features(shape: LevelShape) -> Vec<f32> {
    let mut draws = seeded(0, "features");
    (0..IMAGES * shape.len()).map(|_| draws.normal() as f32).collect()
}

fn a_vector(seconds: f64, shape: LevelShape) -> f64 {
    seconds / (IMAGES * shape.positions()) as f64 * 1e6
}

/// Latents and log-determinants by the flow as inference has it, its weights arranged once.
fn forward(shape: LevelShape, classes: usize, setup: &Setup) -> Result<f64, BenchError> {
    let training = Training::new(&[shape], IMAGES, classes, &Device::Cpu)?;
    training.model.track(false);
    let level = &training.model.levels[0];
    let frozen = level.flow.freeze(level.position.as_ref());
    let frozen = frozen.map_err(ExperimentError::from)?;
    let features = features(shape);
    let maps: Vec<&[f32]> = features.chunks_exact(shape.len()).collect();
    let run = || match &frozen {
        Some(flow) => Ok(flow.forward(&maps, 0, shape.positions()).map(drop)?),
        None => {
            let size = (IMAGES * shape.positions(), shape.channels);
            let x = Tensor::from_slice(&features, size, &Device::Cpu)?;
            level.latents(&x, 0, shape.positions()).map(drop)
        }
    };
    Ok(a_vector(setup.clock.median(run)?, shape))
}

/// Flow, prior, all losses of the second stage, their gradients and Adam.
fn step(shape: LevelShape, classes: usize, setup: &Setup) -> Result<f64, BenchError> {
    let mut training = Training::new(&[shape], IMAGES, classes, &Device::Cpu)?;
    let features = features(shape);
    let maps = || features.chunks_exact(shape.len()).map(Cow::Borrowed).collect();
    let seconds = setup.clock.median(|| training.step(|_| Maps::Host(maps())))?;
    Ok(a_vector(seconds, shape))
}
