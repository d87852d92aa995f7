//! One optimizer step of one level, chunk by chunk.

use crate::error::ExperimentError;
use crate::model::LevelModel;
use crate::optimizer::{Adam, AdamSettings};
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use hgad_flows::FlowTrainer;
use hgad_losses::{Latents, StagedLoss};
use std::borrow::Cow;
use std::ops::Range;

/// The batch of one level: a map and a class an image.
pub struct LevelBatch<'a> {
    /// Feature maps, positions row-major, channels last.
    pub maps: Vec<Cow<'a, [f32]>>,
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
    /// Where the level is.
    pub device: &'a Device,
}

impl Step<'_> {
    /// Gradients at `positions` and an optimizer step with learning rate `rate`. A loss that is not finite is
    /// returned without a step, so that the parameters stay usable.
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
    ) -> Result<StepLoss, ExperimentError> {
        self.gradients(batch, positions, |losses, var, gradient| {
            if losses.total.is_finite() {
                adam.update(var, gradient, rate, settings)?;
            }
            Ok(())
        })
    }

    /// Gradients of the mean loss over `positions` of the batch's maps: `each` gets every parameter that has one.
    ///
    /// # Errors
    /// Shapes that do not fit; what `each` gives.
    pub fn gradients(
        &mut self,
        batch: &LevelBatch,
        of: Range<usize>,
        mut each: impl FnMut(&StepLoss, &Var, &[f32]) -> candle_core::Result<()>,
    ) -> Result<StepLoss, ExperimentError> {
        let (images, positions) = (batch.maps.len(), of.len());
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
        let mut losses = StepLoss::default();
        let whole = (batch.maps.len() * positions) as f64;
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
        for (var, sum) in vars.iter().zip(sums) {
            if let Some(sum) = sum {
                each(&losses, var, &host(&sum)?)?;
            }
        }
        if let Some(trainer) = &mut self.trainer {
            trainer.gradients(&mut |var, gradient| each(&losses, var, gradient))?;
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
        losses: &mut StepLoss,
    ) -> Result<GradStore, ExperimentError> {
        let (d, first, count) = (self.level.shape.channels, positions.start, positions.len());
        let (maps, labels) = (&batch.maps[images.clone()], &batch.labels[images]);
        let Some(trainer) = &mut self.trainer else {
            let mut x = Vec::with_capacity(maps.len() * count * d);
            for map in maps {
                x.extend_from_slice(&map[first * d..(first + count) * d]);
            }
            let x = Tensor::from_vec(x, (maps.len() * count, d), self.device)?;
            let (z, log_det) = self.level.latents(&x, first, count)?;
            let total = self.value(&z, &log_det, labels, share, losses)?;
            return Ok(total.backward()?);
        };
        let slices: Vec<&[f32]> = maps.iter().map(AsRef::as_ref).collect();
        let (z, log_det) = trainer.forward(&slices, first, count)?;
        let z = Var::from_vec(z, (maps.len(), count, d), self.device)?;
        let log_det = Var::from_vec(log_det, (maps.len(), count), self.device)?;
        let total = self.value(z.as_tensor(), log_det.as_tensor(), labels, share, losses)?;
        let grads = total.backward()?;
        let of = |v: &Var| match grads.get(v) {
            Some(g) => host(g),
            None => Ok(vec![0.0; v.elem_count()]),
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
        losses: &mut StepLoss,
    ) -> Result<Tensor, ExperimentError> {
        let latents = Latents::new(z, log_det, labels, self.level.prior.as_ref())?;
        let value = self.loss.value(&latents, self.epoch)?;
        let scalar = |t: &Tensor| t.to_device(&Device::Cpu)?.to_scalar::<f32>();
        for (name, term) in &value.terms {
            let part = scalar(term)? * share as f32;
            match losses.terms.iter_mut().find(|(n, _)| n == name) {
                Some((_, sum)) => *sum += part,
                None => losses.terms.push((name, part)),
            }
        }
        let total = (value.total * share)?;
        losses.total += scalar(&total)?;
        Ok(total)
    }
}

fn host(t: &Tensor) -> candle_core::Result<Vec<f32>> {
    t.flatten_all()?.to_device(&Device::Cpu)?.to_vec1::<f32>()
}
