//! `flow/DDIM_NVECTORS/forward` and `.../train_step`: a level of the method, 12 blocks on a
//! position code of 256 channels, batch 8.

use crate::case::{Plan, Setup};
use crate::error::BenchError;
use candle_core::{Device, Tensor};
use hgad_experiment::step::{LevelBatch, Maps, Step};
use hgad_experiment::{Adam, AdamSettings, Config, ExperimentError, LevelShape, Model};
use hgad_losses::{LossConfig, StagedLoss};
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

fn model(config: &Config, shape: LevelShape, classes: usize) -> Result<Model, BenchError> {
    let names: Vec<String> = (0..classes).map(|c| c.to_string()).collect();
    Ok(Model::new(config, &[shape], &names, &Device::Cpu)?)
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
    let model = model(&Config::default(), shape, classes)?;
    model.track(false);
    let level = &model.levels[0];
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
    let config = Config::default();
    let model = model(&config, shape, classes)?;
    let level = &model.levels[0];
    let features = features(shape);
    let labels: Vec<u32> = (0..IMAGES).map(|i| (i % classes) as u32).collect();
    let loss = StagedLoss::new(&LossConfig::default(), level.prior.as_ref())?;
    let mut adam =
        Adam::new(level.flow_parameters.trainable_vars(), level.prior_parameters.trainable_vars())
            .map_err(ExperimentError::from)?;
    let trainer = level.flow.trainer(level.position.as_ref());
    let mut trainer = trainer.map_err(ExperimentError::from)?;
    let train = &config.train;
    let settings = AdamSettings { betas: train.betas, epsilon: train.epsilon, decay: train.decay };
    let run = || {
        let maps = features.chunks_exact(shape.len()).map(Cow::Borrowed).collect();
        let mut step = Step {
            level,
            loss: &loss,
            trainer: trainer.as_deref_mut(),
            epoch: config.loss.second_stage,
            chunk: train.chunk(&Device::Cpu),
            device: &Device::Cpu,
        };
        let batch = LevelBatch { maps: Maps::Host(maps), labels: &labels };
        let loss = step.run(&batch, 0..shape.positions(), &mut adam, 1e-5, &settings)?;
        loss.read()?;
        Ok::<_, BenchError>(())
    };
    Ok(a_vector(setup.clock.median(run)?, shape))
}
