//! Levels of the method in training: what a case that times an optimizer step is made of.

use crate::error::BenchError;
use candle_core::Device;
use hgad_experiment::step::{LevelBatch, Maps, Step};
use hgad_experiment::{Adam, AdamSettings, Config, ExperimentError, LevelShape, Model};
use hgad_flows::FlowTrainer;
use hgad_losses::{LossConfig, StagedLoss};

/// A model with the defaults of training, all losses of the second stage.
pub(crate) struct Training {
    config: Config,
    /// The model.
    pub(crate) model: Model,
    labels: Vec<u32>,
    losses: Vec<StagedLoss>,
    optimizers: Vec<Adam>,
    trainers: Vec<Option<Box<dyn FlowTrainer>>>,
}

impl Training {
    /// Of levels of these shapes, `images` a batch, in turn of each of `classes`.
    pub(crate) fn new(
        shapes: &[LevelShape],
        images: usize,
        classes: usize,
        device: &Device,
    ) -> Result<Self, BenchError> {
        let config = Config::default();
        let names: Vec<String> = (0..classes).map(|c| c.to_string()).collect();
        let model = Model::new(&config, shapes, &names, device)?;
        let labels = (0..images).map(|i| (i % classes) as u32).collect();
        let (mut losses, mut optimizers, mut trainers) = (Vec::new(), Vec::new(), Vec::new());
        for level in &model.levels {
            let of_flow = level.flow_parameters.trainable_vars();
            optimizers.push(Adam::new(of_flow, level.prior_parameters.trainable_vars())?);
            losses.push(StagedLoss::new(&LossConfig::default(), level.prior.as_ref())?);
            let trainer = level.flow.trainer(level.position.as_ref());
            trainers.push(trainer.map_err(ExperimentError::from)?);
        }
        Ok(Self { config, model, labels, losses, optimizers, trainers })
    }

    /// A step of every level on the maps that `maps` gives of it, to its end.
    pub(crate) fn step<'a>(
        &mut self,
        mut maps: impl FnMut(usize) -> Maps<'a>,
    ) -> Result<(), BenchError> {
        let train = &self.config.train;
        let (betas, epsilon, decay) = (train.betas, train.epsilon, train.decay);
        let settings = AdamSettings { betas, epsilon, decay };
        let mut pending = Vec::new();
        for (l, level) in self.model.levels.iter().enumerate() {
            let mut step = Step {
                level,
                loss: &self.losses[l],
                trainer: self.trainers[l].as_deref_mut(),
                epoch: self.config.loss.second_stage,
                chunk: train.chunk(level.device()),
            };
            let batch = LevelBatch { maps: maps(l), labels: &self.labels };
            let (all, adam) = (0..level.shape.positions(), &mut self.optimizers[l]);
            pending.push(step.run(&batch, all, adam, 1e-5, &settings)?);
        }
        for loss in &pending {
            loss.read()?;
        }
        Ok(self.model.levels.iter().try_for_each(|level| level.device().synchronize())?)
    }
}
