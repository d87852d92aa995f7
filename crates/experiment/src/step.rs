//! One optimizer step of one level, chunk by chunk.

use crate::error::ExperimentError;
use crate::model::LevelModel;
use crate::optimizer::{Adam, AdamSettings};
use candle_core::{Device, Tensor};
use hgad_losses::{Latents, StagedLoss};
use std::borrow::Cow;

/// The batch of one level: a map and a class an image.
pub struct LevelBatch<'a> {
    /// Feature maps, positions row-major, channels last.
    pub maps: Vec<Cow<'a, [f32]>>,
    /// Class indices.
    pub labels: &'a [u32],
}

/// Losses of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepLoss {
    /// The weighted sum.
    pub total: f32,
    /// Each term before its weight.
    pub terms: Vec<(&'static str, f32)>,
}

/// Gradients of the mean loss over the batch, in the order of `adam`'s parameters.
///
/// The batch goes through `chunk` vectors at a time: the same positions of all images together,
/// forward and backward, gradients adding up. The loss is a mean over vectors, so a chunk's part
/// counts by its share of them, and memory depends on neither the batch nor the map.
///
/// # Errors
/// Shapes that do not fit.
pub fn gradients(
    level: &LevelModel,
    loss: &StagedLoss,
    adam: &Adam,
    batch: &LevelBatch,
    epoch: usize,
    chunk: usize,
    device: &Device,
) -> Result<(StepLoss, Vec<Option<Tensor>>), ExperimentError> {
    let (images, positions, d) = (batch.maps.len(), level.shape.positions(), level.shape.channels);
    let width = (chunk / images.max(1)).clamp(1, positions);
    let mut sums: Vec<Option<Tensor>> = adam.vars().map(|_| None).collect();
    let mut losses = StepLoss { total: 0.0, terms: Vec::new() };
    let mut first = 0;
    while first < positions {
        let count = width.min(positions - first);
        let mut x = Vec::with_capacity(images * count * d);
        for map in &batch.maps {
            x.extend_from_slice(&map[first * d..(first + count) * d]);
        }
        let x = Tensor::from_vec(x, (images * count, d), device)?;
        let (z, log_det) = level.latents(&x, first, count)?;
        let latents = Latents::new(&z, &log_det, batch.labels, level.prior.as_ref())?;
        let value = loss.value(&latents, epoch)?;
        let share = count as f64 / positions as f64;
        let weighted = (value.total * share)?;
        losses.total += scalar(&weighted)?;
        for (i, (name, term)) in value.terms.iter().enumerate() {
            if first == 0 {
                losses.terms.push((name, 0.0));
            }
            losses.terms[i].1 += scalar(term)? * share as f32;
        }
        let grads = weighted.backward()?;
        for (sum, var) in sums.iter_mut().zip(adam.vars()) {
            if let Some(g) = grads.get(var) {
                *sum = Some(match sum.take() {
                    None => g.clone(),
                    Some(s) => (s + g)?,
                });
            }
        }
        first += count;
    }
    Ok((losses, sums))
}

/// [`gradients`] and an optimizer step with learning rate `rate`. A loss that is not finite is
/// returned without a step, so that the parameters stay usable.
///
/// # Errors
/// As [`gradients`].
#[allow(clippy::too_many_arguments)]
pub fn train_step(
    level: &LevelModel,
    loss: &StagedLoss,
    adam: &mut Adam,
    batch: &LevelBatch,
    epoch: usize,
    chunk: usize,
    (rate, settings): (f64, &AdamSettings),
    device: &Device,
) -> Result<StepLoss, ExperimentError> {
    let (losses, grads) = gradients(level, loss, adam, batch, epoch, chunk, device)?;
    if losses.total.is_finite() {
        adam.step(&grads, rate, settings)?;
    }
    Ok(losses)
}

fn scalar(t: &Tensor) -> Result<f32, ExperimentError> {
    Ok(t.to_device(&Device::Cpu)?.to_dtype(candle_core::DType::F32)?.to_scalar::<f32>()?)
}
