//! What of a model starts from data: the scale of its features, and the centres of its prior.

use crate::config::Config;
use crate::error::ExperimentError;
use crate::features::{Features, Part};
use crate::model::{LevelModel, Model};
use candle_core::Tensor;
use hgad_parameters::seeded;
use hgad_priors::Start;

/// Vectors of a level that its scale is taken from.
const FOR_SCALE: usize = 100_000;
/// Vectors that go through the flow at once.
const CHUNK: usize = 4096;

/// Some vectors of the training images of one level.
struct Sample {
    /// (N, D), row-major.
    vectors: Vec<f32>,
    positions: Vec<u32>,
    labels: Vec<u32>,
}

/// Sets what starts from data, from the training images; once, before the first step.
///
/// # Errors
/// What reading gives; features without a finite variance.
pub(crate) fn start(
    config: &Config,
    model: &Model,
    features: &Features,
) -> Result<(), ExperimentError> {
    model.track(false);
    for (index, level) in model.levels.iter().enumerate() {
        if level.is_scaled() {
            level.fit_scaling(&sample(config, features, level, index, FOR_SCALE)?.vectors)?;
        }
        start_prior(config, model, features, (index, level), "prior.start", &config.prior.start)?;
    }
    Ok(())
}

/// Places the prior's centres anew on the latents of the trained flow, where `prior.settle` says so; once,
/// after the last step.
///
/// # Errors
/// What reading gives.
pub(crate) fn settle(
    config: &Config,
    model: &Model,
    features: &Features,
) -> Result<(), ExperimentError> {
    model.track(false);
    for level in model.levels.iter().enumerate() {
        start_prior(config, model, features, level, "prior.settle", &config.prior.settle)?;
    }
    Ok(())
}

/// Gives the prior what it keeps of the latents of the flow as it is now, where it keeps any; before every
/// evaluation.
///
/// # Errors
/// What reading gives.
pub(crate) fn remember(
    config: &Config,
    model: &Model,
    features: &Features,
) -> Result<(), ExperimentError> {
    model.track(false);
    for (index, level) in model.levels.iter().enumerate().filter(|(_, l)| l.prior.remembers()) {
        let (z, labels) = latents_for_prior(config, model, features, (index, level))?;
        let mut draws = seeded(config.seed, &format!("prior.memory.{index}"));
        level.prior.remember(&z, &labels, &mut draws)?;
    }
    Ok(())
}

/// Starts the prior of one level from latents, where `value` of the setting `key` names a way.
fn start_prior(
    config: &Config,
    model: &Model,
    features: &Features,
    (index, level): (usize, &LevelModel),
    key: &'static str,
    value: &str,
) -> Result<(), ExperimentError> {
    let how = match value {
        "clusters" => Start::Clusters,
        "coreset" => Start::Coreset,
        _ => return Ok(()),
    };
    let (z, labels) = latents_for_prior(config, model, features, (index, level))?;
    let mut draws = seeded(config.seed, &format!("{key}.{index}"));
    if !level.prior.start(&z, &labels, how, &mut draws)? {
        let reason = format!("nothing of the prior `{}` starts from data", config.prior.kind);
        return Err(ExperimentError::Setting { key, value: value.into(), reason });
    }
    Ok(())
}

/// Latents (N, D), row-major, of a sample of one level, and the class of each.
fn latents_for_prior(
    config: &Config,
    model: &Model,
    features: &Features,
    (index, level): (usize, &LevelModel),
) -> Result<(Vec<f32>, Vec<u32>), ExperimentError> {
    let count = config.prior.sample.saturating_mul(model.classes.len());
    let sample = sample(config, features, level, index, count)?;
    let z = latents(level, sample.vectors, &sample.positions, model)?;
    Ok((z, sample.labels))
}

/// About `count` vectors, as many of each image, at places drawn from the seed.
fn sample(
    config: &Config,
    features: &Features,
    level: &LevelModel,
    index: usize,
    count: usize,
) -> Result<Sample, ExperimentError> {
    let (dim, positions) = (level.shape.channels, level.shape.positions());
    let of_each = count.div_ceil(features.train.len().max(1)).min(positions);
    let mut draws = seeded(config.seed, &format!("start.{index}.{count}"));
    let mut out = Sample { vectors: Vec::new(), positions: Vec::new(), labels: Vec::new() };
    for (image, sample) in features.train.iter().enumerate() {
        let maps = features.maps(Part::Train, image)?;
        let map = maps.level(index);
        for position in draws.permutation(positions).into_iter().take(of_each) {
            out.vectors.extend_from_slice(&map[position * dim..(position + 1) * dim]);
            out.positions.push(position as u32);
            out.labels.push(sample.class as u32);
        }
    }
    Ok(out)
}

/// Latents (N, D), row-major.
fn latents(
    level: &LevelModel,
    vectors: Vec<f32>,
    positions: &[u32],
    model: &Model,
) -> Result<Vec<f32>, ExperimentError> {
    let dim = level.shape.channels;
    let scaled = level.scaled(vectors.into())?;
    let mut out = Vec::with_capacity(scaled.len());
    for (x, positions) in scaled.chunks(CHUNK * dim).zip(positions.chunks(CHUNK)) {
        let x = Tensor::from_slice(x, (positions.len(), dim), model.device())?;
        out.extend(crate::model::host(&level.latents_at(&x, positions)?)?);
    }
    Ok(out)
}
