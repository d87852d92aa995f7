//! One optimizer step of one level, chunk by chunk.

use crate::error::ExperimentError;
use crate::model::LevelModel;
use crate::optimizer::{Adam, AdamSettings};
use candle_core::backprop::GradStore;
use candle_core::{Device, Result, Tensor, Var};
use hgad_flows::{FeatureMaps, FlowTrainer};
use hgad_kernels::Gradient;
use hgad_losses::{Latents, StagedLoss};
use std::borrow::Cow;
use std::ops::Range;

/// Feature maps of a batch, positions row-major, channels last.
pub enum Maps<'a> {
    /// On the host, one an image.
    Host(Vec<Cow<'a, [f32]>>),
    /// Where the level is: (B, P, D).
    Device(Tensor),
}

/// The batch of one level: a map and a class an image.
pub struct LevelBatch<'a> {
    /// Feature maps.
    pub maps: Maps<'a>,
    /// Class indices.
    pub labels: &'a [u32],
}

/// Losses of a step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StepLoss {
    /// The weighted sum.
    pub total: f32,
    /// Each term before its weight.
    pub terms: Vec<(&'static str, f32)>,
}

/// Losses of a step where they are made: a device computes on until somebody asks for them.
#[derive(Default)]
pub struct PendingLoss {
    total: Option<Tensor>,
    terms: Vec<(&'static str, Tensor)>,
}

impl PendingLoss {
    /// Adds a chunk's part.
    fn add(&mut self, total: Tensor, terms: Vec<(&'static str, Tensor)>) -> Result<()> {
        self.total = Some(match self.total.take() {
            None => total,
            Some(sum) => (sum + total)?,
        });
        for (name, part) in terms {
            match self.terms.iter_mut().find(|(n, _)| *n == name) {
                Some((_, sum)) => *sum = (&*sum + part)?,
                None => self.terms.push((name, part)),
            }
        }
        Ok(())
    }

    /// The numbers; waits for the device.
    ///
    /// # Errors
    /// From candle.
    pub fn read(&self) -> Result<StepLoss> {
        let Some(total) = &self.total else { return Ok(StepLoss::default()) };
        let all: Vec<&Tensor> =
            std::iter::once(total).chain(self.terms.iter().map(|t| &t.1)).collect();
        let all = Tensor::stack(&all, 0)?.to_device(&Device::Cpu)?.to_vec1::<f32>()?;
        let terms = self.terms.iter().zip(&all[1..]).map(|((name, _), v)| (*name, *v));
        Ok(StepLoss { total: all[0], terms: terms.collect() })
    }
}

/// What a step of one level needs.
///
/// The batch goes through `chunk` vectors at a time: the same positions of all images together,
/// forward and backward, gradients adding up. The loss is a mean over vectors, so a chunk's part
/// counts by its share of them, and memory depends on neither the batch nor the map. A flow over
/// whole maps gets as many maps as fit the chunk, at least one.
pub struct Step<'a> {
    /// Flow and prior.
    pub level: &'a LevelModel,
    /// Their loss.
    pub loss: &'a StagedLoss,
    /// Hand-written gradients of the flow, where it has them; else autograd is used.
    pub trainer: Option<&'a mut (dyn FlowTrainer + 'static)>,
    /// From 0.
    pub epoch: usize,
    /// Vectors at once.
    pub chunk: usize,
}

impl Step<'_> {
    /// Gradients at `positions` and an optimizer step with learning rate `rate`. Where the loss is not finite no
    /// step is made, so that the parameters stay usable.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn run(
        &mut self,
        batch: &LevelBatch,
        positions: Range<usize>,
        adam: &mut Adam,
        rate: f64,
        settings: &AdamSettings,
    ) -> std::result::Result<PendingLoss, ExperimentError> {
        self.gradients(batch, positions, |loss, var, gradient| {
            adam.update(var, gradient, loss, rate, settings)
        })
    }

    /// Gradients of the mean loss over `positions` of the batch's maps: `each` gets the loss, a scalar where
    /// the level is, and every parameter that has a gradient with it.
    ///
    /// # Errors
    /// Shapes that do not fit; what `each` gives.
    pub fn gradients(
        &mut self,
        batch: &LevelBatch,
        of: Range<usize>,
        mut each: impl FnMut(&Tensor, &Var, Gradient) -> Result<()>,
    ) -> std::result::Result<PendingLoss, ExperimentError> {
        let (images, positions) = (batch.labels.len(), of.len());
        let (together, width) = match self.level.flow.whole_maps() {
            true => ((self.chunk / positions).clamp(1, images.max(1)), positions),
            false => (images.max(1), (self.chunk / images.max(1)).clamp(1, positions)),
        };
        let trained = |p: &hgad_parameters::Parameters| {
            p.trainable_vars().into_iter().map(|(_, v)| v).collect::<Vec<_>>()
        };
        // With a trainer the flow's gradients add up there.
        let mut vars = trained(&self.level.prior_parameters);
        match &mut self.trainer {
            Some(trainer) => trainer.begin()?,
            None => vars.extend(trained(&self.level.flow_parameters)),
        }
        let mut sums: Vec<Option<Tensor>> = vars.iter().map(|_| None).collect();
        let mut losses = PendingLoss::default();
        let whole = (images * positions) as f64;
        for image in (0..images).step_by(together) {
            let images = image..images.min(image + together);
            for first in of.clone().step_by(width) {
                let chunk = first..of.end.min(first + width);
                let share = (images.len() * chunk.len()) as f64 / whole;
                let grads =
                    self.chunk_gradients(batch, images.clone(), chunk, share, &mut losses)?;
                for (sum, var) in sums.iter_mut().zip(&vars) {
                    if let Some(g) = grads.get(var) {
                        *sum = Some(match sum.take() {
                            None => g.clone(),
                            Some(s) => (s + g)?,
                        });
                    }
                }
            }
        }
        let Some(total) = &losses.total else { return Ok(losses) };
        for (var, sum) in vars.iter().zip(sums) {
            if let Some(sum) = sum {
                each(total, var, Gradient::Tensor(&sum))?;
            }
        }
        if let Some(trainer) = &mut self.trainer {
            trainer.gradients(&mut |var, gradient| each(total, var, gradient))?;
        }
        Ok(losses)
    }

    /// Adds one chunk, some positions of some images, to `losses`, and gives its gradients of the
    /// prior, and of the flow where it has no trainer.
    fn chunk_gradients(
        &mut self,
        batch: &LevelBatch,
        images: Range<usize>,
        positions: Range<usize>,
        share: f64,
        losses: &mut PendingLoss,
    ) -> std::result::Result<GradStore, ExperimentError> {
        let (d, first, count) = (self.level.shape.channels, positions.start, positions.len());
        let labels = &batch.labels[images.clone()];
        let maps = match &batch.maps {
            Maps::Host(maps) => {
                FeatureMaps::Host(maps[images.clone()].iter().map(AsRef::as_ref).collect())
            }
            Maps::Device(maps) => {
                FeatureMaps::Device(maps.narrow(0, images.start, images.len())?)
            }
        };
        let Some(trainer) = &mut self.trainer else {
            let rows = images.len() * count;
            let x = match &maps {
                FeatureMaps::Host(maps) => {
                    let mut x = Vec::with_capacity(rows * d);
                    for map in maps {
                        x.extend_from_slice(&map[first * d..(first + count) * d]);
                    }
                    Tensor::from_vec(x, (rows, d), self.level.device())?
                }
                FeatureMaps::Device(maps) => {
                    maps.narrow(1, first, count)?.contiguous()?.reshape((rows, d))?
                }
            };
            let (z, log_det) = self.level.latents(&x, first, count)?;
            let total = self.value(&z, &log_det, labels, share, losses)?;
            return Ok(total.backward()?);
        };
        let (z, log_det) = trainer.forward(&maps, first, count)?;
        let total = self.value(z.as_tensor(), log_det.as_tensor(), labels, share, losses)?;
        let grads = total.backward()?;
        let of = |v: &Var| match grads.get(v) {
            Some(g) => Ok(g.clone()),
            None => v.zeros_like(),
        };
        let (dz, dlog_det) = (of(&z)?, of(&log_det)?);
        if let Some(trainer) = &mut self.trainer {
            trainer.backward(&dz, &dlog_det)?;
        }
        Ok(grads)
    }

    /// The loss of one chunk, weighted by its share.
    fn value(
        &self,
        z: &Tensor,
        log_det: &Tensor,
        labels: &[u32],
        share: f64,
        losses: &mut PendingLoss,
    ) -> std::result::Result<Tensor, ExperimentError> {
        let latents = Latents::new(z, log_det, labels, self.level.prior.as_ref())?;
        let value = self.loss.value(&latents, self.epoch)?;
        // On a device every product is a kernel to start, forward and back.
        let part = |x: Tensor| if share == 1.0 { Ok(x) } else { x * share };
        let total = part(value.total)?;
        let terms = value.terms.into_iter().map(|(name, term)| Ok((name, part(term)?)));
        losses.add(total.detach(), terms.collect::<Result<_>>()?)?;
        Ok(total)
    }
}
