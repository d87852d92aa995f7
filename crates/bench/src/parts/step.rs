//! `step/D200_levels64_32_16_b8`: a training step of the method's three levels, 12 blocks each, batch 8,
//! on the device of the setup: flow, prior, all losses of the second stage, their gradients and Adam.
//! The features are on that device; `.../from_host` carries them there.

use crate::case::{Plan, Setup};
use crate::error::BenchError;
use candle_core::Tensor;
use hgad_experiment::step::{LevelBatch, Maps, Step};
use hgad_experiment::{Adam, AdamSettings, Config, ExperimentError, LevelShape, Model};
use hgad_losses::{LossConfig, StagedLoss};
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
    let (config, device) = (Config::default(), &setup.device);
    let shape = |side| LevelShape { height: side, width: side, channels: CHANNELS };
    let names: Vec<String> = (0..CLASSES).map(|c| c.to_string()).collect();
    let model = Model::new(&config, &SIDES.map(shape), &names, device)?;
    model.track(true);
    let labels: Vec<u32> = (0..IMAGES).map(|i| (i % CLASSES) as u32).collect();
    let train = &config.train;
    let settings = AdamSettings { betas: train.betas, epsilon: train.epsilon, decay: train.decay };
    let (mut losses, mut adams, mut trainers) = (Vec::new(), Vec::new(), Vec::new());
    let (mut features, mut there) = (Vec::new(), Vec::new());
    let mut draws = seeded(0, "features");
    for level in &model.levels {
        let own = (level.flow_parameters.trainable_vars(), level.prior_parameters.trainable_vars());
        adams.push(Adam::new(own.0, own.1)?);
        losses.push(StagedLoss::new(&LossConfig::default(), level.prior.as_ref())?);
        let trainer = level.flow.trainer(level.position.as_ref());
        trainers.push(trainer.map_err(ExperimentError::from)?);
        let values: Vec<f32> =
            (0..IMAGES * level.shape.len()).map(|_| draws.normal() as f32).collect();
        let size = (IMAGES, level.shape.positions(), CHANNELS);
        there.push(Tensor::from_slice(&values, size, device)?);
        features.push(values);
    }
    let seconds = setup.clock.median(|| -> Result<(), BenchError> {
        let mut pending = Vec::new();
        for (l, level) in model.levels.iter().enumerate() {
            let of_images = features[l].chunks_exact(level.shape.len());
            let maps = match from_host {
                true => Maps::Host(of_images.map(Cow::Borrowed).collect()),
                false => Maps::Device(there[l].clone()),
            };
            let mut step = Step {
                level,
                loss: &losses[l],
                trainer: trainers[l].as_deref_mut(),
                epoch: config.loss.second_stage,
                chunk: train.chunk(device),
                device,
            };
            let batch = LevelBatch { maps, labels: &labels };
            let all = 0..level.shape.positions();
            pending.push(step.run(&batch, all, &mut adams[l], 1e-5, &settings)?);
        }
        for loss in &pending {
            loss.read()?;
        }
        // The step is done where the device is.
        Ok(device.synchronize()?)
    })?;
    Ok(seconds * 1e3)
}
