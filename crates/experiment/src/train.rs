//! Training: passes over the data, level after level.

use crate::averaging::Average;
use crate::config::{self, Config, TermWeight};
use crate::error::ExperimentError;
use crate::features::{Features, Part};
use crate::hard_positions::hard_positions;
use crate::memory;
use crate::metrics_log::PassRecord;
use crate::model::{LevelModel, LevelShape, Model};
use crate::optimizer::{Adam, AdamSettings};
use crate::progress::{Event, Observer, PassPlace, StepRecord};
use crate::resident::Resident;
use crate::schedule::learning_rate;
use crate::side_by_side::side_by_side;
use crate::start::start;
use crate::step::{LevelBatch, Maps, Step, StepLoss};
use hgad_flows::FlowTrainer;
use hgad_losses::{StagedLoss, Weight};
use hgad_parameters::{Draws, seeded};
use std::ops::Range;
use std::time::Instant;

/// The loss as its crate has it.
fn loss_config(c: &config::LossConfig) -> hgad_losses::LossConfig {
    let weight = |w: &TermWeight| match *w {
        TermWeight::Usual(w) => Weight::Usual(w),
        TermWeight::Each(w) => Weight::Each(w),
    };
    hgad_losses::LossConfig {
        inter: weight(&c.inter),
        mutual_information: weight(&c.mutual_information),
        entropy: weight(&c.entropy),
        intra: weight(&c.intra),
        likelihood: weight(&c.likelihood),
        more: c.more.iter().map(|(name, w)| (name.clone(), weight(w))).collect(),
        smoothing: c.smoothing,
        second_stage: c.second_stage,
    }
}

/// A model in training.
pub struct Trainer<'a> {
    config: &'a Config,
    features: &'a Features,
    labels: Vec<u32>,
    losses: Vec<StagedLoss>,
    flow_trainers: Vec<Option<Box<dyn FlowTrainer>>>,
    resident: Option<Resident>,
    settings: AdamSettings,
    /// The model.
    pub model: Model,
    /// One optimizer a level.
    pub optimizers: Vec<Adam>,
    /// One average of the parameters a level; none where `train.average` is 0.
    pub averages: Vec<Average>,
}

impl<'a> Trainer<'a> {
    /// `model` at its start, or to be put into the state of a checkpoint.
    ///
    /// # Errors
    /// A loss that the prior cannot serve; too few images for a batch.
    pub fn new(
        config: &'a Config,
        model: Model,
        features: &'a Features,
    ) -> Result<Self, ExperimentError> {
        let (images, batch) = (features.train.len(), config.train.batch);
        if images < batch {
            return Err(ExperimentError::TooFew { images, batch });
        }
        let hard = config.train.hard;
        if hard > 0.0 && model.levels.iter().any(|l| l.flow.whole_maps()) {
            let reason = format!("the flow `{}` needs whole maps; set 0", config.flow.kind);
            let value = hard.to_string();
            return Err(ExperimentError::Setting { key: "train.hard", value, reason });
        }
        let weights = loss_config(&config.loss);
        let losses = model
            .levels
            .iter()
            .map(|l| StagedLoss::new(&weights, l.prior.as_ref()))
            .collect::<Result<_, _>>()?;
        let optimizers = model
            .levels
            .iter()
            .map(|l| {
                Adam::new(l.flow_parameters.trainable_vars(), l.prior_parameters.trainable_vars())
            })
            .collect::<Result<_, _>>()?;
        let average = |l: &LevelModel| {
            let of_flow = l.flow_parameters.trainable_vars();
            let all = of_flow.into_iter().chain(l.prior_parameters.trainable_vars());
            Average::new(config.train.average, all.collect())
        };
        let averages = match config.train.average > 0.0 {
            true => model.levels.iter().map(average).collect::<Result<_, _>>()?,
            false => Vec::new(),
        };
        let flow_trainers = model
            .levels
            .iter()
            .map(|l| l.flow.trainer(l.position.as_ref()))
            .collect::<Result<_, _>>()?;
        let settings = AdamSettings {
            betas: config.train.betas,
            epsilon: config.train.epsilon,
            decay: config.train.decay,
        };
        // Hard positions are chosen on the host.
        let resident = match hard > 0.0 {
            true => None,
            false => Resident::new(images, model.levels.len(), model.device()),
        };
        let labels = features.train.iter().map(|s| s.class as u32).collect();
        Ok(Self {
            config,
            features,
            labels,
            losses,
            flow_trainers,
            resident,
            settings,
            model,
            optimizers,
            averages,
        })
    }

    /// Passes over the data in the whole run.
    pub fn passes(&self) -> usize {
        self.config.train.epochs * self.config.train.passes
    }

    /// Steps in a pass; a last partial batch is dropped.
    pub fn steps(&self) -> usize {
        self.features.train.len() / self.config.train.batch
    }

    /// Puts averaged parameters in the place of those in training, if there are any, and the other way round.
    ///
    /// # Errors
    /// From candle.
    pub fn exchange_averages(&mut self) -> Result<(), ExperimentError> {
        Ok(self.averages.iter_mut().try_for_each(Average::exchange)?)
    }

    /// Pass number `pass` (from 0 over the whole run). The order of the images is drawn from the
    /// seed and the number alone, so a run that was stopped goes on as if it had not been.
    ///
    /// # Errors
    /// A loss that is not finite: that level is left as before the step.
    pub fn pass(
        &mut self,
        pass: usize,
        observer: &dyn Observer,
    ) -> Result<PassRecord, ExperimentError> {
        let started = Instant::now();
        let train = &self.config.train;
        let (epoch, within) = (pass / train.passes, pass % train.passes);
        let steps = self.steps();
        // A run that is resumed has pass 0 behind it, and its result in the checkpoint.
        if pass == 0 {
            start(self.config, &self.model, self.features)?;
        }
        self.model.track(true);
        let mut places = seeded(self.config.seed, &format!("positions.{pass}"));
        let order = order(self.config, self.features, pass);
        let mut sums = StepLoss { total: 0.0, terms: Vec::new() };
        let mut rate = 0.0;
        let images = (steps * train.batch) as u64;
        observer.event(Event::BeginPass(PassPlace {
            epoch: epoch + 1,
            epochs: train.epochs,
            pass: pass + 1,
            passes: self.passes(),
            images,
        }));
        for (step, members) in order.chunks_exact(train.batch).enumerate() {
            // The schedule's steps run over all passes of an epoch.
            rate = learning_rate(train, epoch, within * steps + step, steps * train.passes);
            let there = self.resident.as_ref().is_some_and(|r| r.has(members));
            let wanted = if there { &[][..] } else { members };
            let read = wanted.iter().map(|i| self.features.maps(Part::Train, *i));
            let maps = read.collect::<Result<Vec<_>, _>>()?;
            let labels: Vec<u32> = members.iter().map(|i| self.labels[*i]).collect();
            // A device works on one level while this prepares the next, and on several at once.
            let (device, labels) = (self.model.device(), &labels);
            let (settings, losses) = (&self.settings, &self.losses);
            let own = self.flow_trainers.iter_mut().zip(&mut self.optimizers);
            let levels = self.model.levels.iter().zip(own).enumerate();
            let steps = levels.map(|(index, (level, (trainer, adam)))| {
                let (device, chunk) = (level.device(), train.chunk(level.device()));
                let mut rows =
                    rows(train.positions, &level.shape, level.flow.whole_maps(), &mut places);
                let maps = match &mut self.resident {
                    None => {
                        let scaled = maps.iter().map(|m| level.scaled(m.level(index)));
                        let mut maps = scaled.collect::<Result<Vec<_>, _>>()?;
                        if train.hard > 0.0 {
                            let share = train.positions * level.shape.positions() as f64;
                            let count = (share.round() as usize).max(1);
                            let (wanted, of) = ((train.hard, count), (&maps[..], &labels[..]));
                            maps = hard_positions(level, of, wanted, chunk, &mut places)?;
                            rows = 0..count;
                        }
                        Maps::Host(maps)
                    }
                    Some(resident) => {
                        let (of_level, channels) = (index, level.shape.channels);
                        let read = |place: usize| level.scaled(maps[place].level(index));
                        Maps::Device(resident.batch(members, (of_level, channels), device, read)?)
                    }
                };
                let (loss, trainer) = (&losses[index], trainer.as_deref_mut());
                let mut step = Step { level, loss, trainer, epoch, chunk };
                Ok(move || {
                    let batch = LevelBatch { maps, labels };
                    step.run(&batch, rows, adam, rate, settings)
                })
            });
            let pending = side_by_side(device, steps)?;
            for (index, losses) in pending.iter().enumerate() {
                let losses = losses.read()?;
                if !losses.total.is_finite() {
                    return Err(ExperimentError::Diverged {
                        value: losses.total,
                        epoch: epoch + 1,
                        pass: within + 1,
                        step: step + 1,
                        level: index,
                        half_rate: train.rate / 2.0,
                    });
                }
                if let Some(average) = self.averages.get_mut(index) {
                    average.add()?;
                }
                add(&mut sums, &losses);
            }
            let (loss, terms) = means(&sums, (step + 1) * self.model.levels.len());
            let images = ((step + 1) * train.batch) as u64;
            observer.event(Event::Step(StepRecord { images, loss, terms: &terms, rate }));
        }
        observer.event(Event::End);
        let (loss, terms) = means(&sums, steps * self.model.levels.len());
        Ok(PassRecord {
            epoch: epoch + 1,
            pass: pass + 1,
            passes: self.passes(),
            rate,
            loss,
            terms: terms.into_iter().map(|(name, value)| (name.to_string(), value)).collect(),
            seconds: started.elapsed().as_secs_f64(),
            images,
            memory: memory::resident(),
            image_auroc: None,
            pixel_auroc: None,
        })
    }
}

/// One of the runs of rows that a map falls into where each has about `share` of its positions, as
/// the positions it covers; all of them of a flow that needs whole maps.
fn rows(share: f64, shape: &LevelShape, whole: bool, draws: &mut Draws) -> Range<usize> {
    let runs = ((1.0 / share).round() as usize).clamp(1, shape.height);
    if whole || runs == 1 {
        return 0..shape.positions();
    }
    let run = draws.below(runs);
    let row = |run: usize| run * shape.height / runs * shape.width;
    row(run)..row(run + 1)
}

/// The training images in the order of pass number `pass`, drawn from the seed and the number alone.
pub(crate) fn order(config: &Config, features: &Features, pass: usize) -> Vec<usize> {
    seeded(config.seed, &format!("order.{pass}")).permutation(features.train.len())
}

/// The mean of `count` losses and of each term.
fn means(sums: &StepLoss, count: usize) -> (f64, Vec<(&'static str, f64)>) {
    let mean = |sum: f32| sum as f64 / count as f64;
    (mean(sums.total), sums.terms.iter().map(|(name, sum)| (*name, mean(*sum))).collect())
}

fn add(sums: &mut StepLoss, step: &StepLoss) {
    sums.total += step.total;
    for (name, value) in &step.terms {
        match sums.terms.iter_mut().find(|(n, _)| n == name) {
            Some((_, sum)) => *sum += value,
            None => sums.terms.push((name, *value)),
        }
    }
}
