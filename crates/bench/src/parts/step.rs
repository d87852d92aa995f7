//! `step/D200_levels64_32_16_b8`: a training step of the method's three levels, 12 blocks each, batch 8,
//! on the device of the setup: flow, prior, all losses of the second stage, their gradients and Adam.
//! The features are on that device; `.../from_host` carries them there.

use super::training::Training;
use crate::case::{Plan, Setup};
use crate::error::BenchError;
use candle_core::Tensor;
use hgad_experiment::step::Maps;
use hgad_experiment::{LevelModel, LevelShape};
use hgad_parameters::seeded;
use std::borrow::Cow;

const IMAGES: usize = 8;
const CLASSES: usize = 15;
const CHANNELS: usize = 200;
const SIDES: [usize; 3] = [64, 32, 16];

pub(crate) fn plans() -> Vec<Plan> {
    let name = "step/D200_levels64_32_16_b8";
    vec![
        Plan::new(name, "ms a step", |s| step(s, false)),
        Plan::new(format!("{name}/from_host"), "ms a step", |s| step(s, true)),
    ]
}

fn step(setup: &Setup, from_host: bool) -> Result<f64, BenchError> {
    let shapes = SIDES.map(|side| LevelShape { height: side, width: side, channels: CHANNELS });
    let mut training = Training::new(&shapes, IMAGES, CLASSES, &setup.device)?;
    let mut draws = seeded(0, "features");
    let mut values = |n: usize| (0..n).map(|_| draws.normal() as f32).collect::<Vec<f32>>();
    let host: Vec<Vec<f32>> = shapes.iter().map(|s| values(IMAGES * s.len())).collect();
    let there = |(values, level): (&Vec<f32>, &LevelModel)| {
        Tensor::from_slice(values, (IMAGES, level.shape.positions(), CHANNELS), level.device())
    };
    let there = host.iter().zip(&training.model.levels).map(there);
    let there = there.collect::<Result<Vec<_>, _>>()?;
    let seconds = setup.clock.median(|| {
        training.step(|l| match from_host {
            true => Maps::Host(host[l].chunks_exact(shapes[l].len()).map(Cow::Borrowed).collect()),
            false => Maps::Device(there[l].clone()),
        })
    })?;
    Ok(seconds * 1e3)
}
