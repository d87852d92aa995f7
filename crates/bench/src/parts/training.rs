//! Levels of the method in training: what a case that times an optimizer step is made of.

use crate::error::BenchError;
use candle_core::Device;
use hgad_experiment::side_by_side::side_by_side;
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
        let own = self.trainers.iter_mut().zip(&mut self.optimizers).zip(&self.losses);
        let levels = self.model.levels.iter().zip(own).enumerate();
        let (labels, epoch, settings) = (&self.labels, self.config.loss.second_stage, &settings);
        let steps = levels.map(|(l, (level, ((trainer, adam), loss)))| {
            let (trainer, chunk) = (trainer.as_deref_mut(), train.chunk(level.device()));
            let mut step = Step { level, loss, trainer, epoch, chunk };
            let batch = LevelBatch { maps: maps(l), labels };
            Ok(move || step.run(&batch, 0..level.shape.positions(), adam, 1e-5, settings))
        });
        let pending = side_by_side(self.model.device(), steps)?;
        for loss in &pending {
            loss.read()?;
        }
        Ok(self.model.levels.iter().try_for_each(|level| level.device().synchronize())?)
    }
}
