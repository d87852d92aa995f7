//! What of a model starts from data: the scale of its features, normalizations of its flow, and the centres
//! of its prior.

use crate::config::Config;
use crate::error::ExperimentError;
use crate::features::{Features, Part};
use crate::model::{LevelModel, Model};
use crate::places::{Place, latents, vectors};
use crate::train::order;
use hgad_parameters::seeded;
use hgad_priors::Start;

/// Vectors of a level that its scale is taken from.
const FOR_SCALE: usize = 100_000;

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
            let places = draw(config, features, level, index, FOR_SCALE);
            level.fit_scaling(&vectors(features, Part::Train, (index, level), &places)?)?;
        }
        if level.flow.starts_from_data() {
            start_flow(config, features, (index, level))?;
        }
        start_prior(config, model, features, (index, level), "prior.start", &config.prior.start)?;
    }
    Ok(())
}

/// Starts the flow of one level from the first batch of the first pass, before the prior looks at its latents.
fn start_flow(
    config: &Config,
    features: &Features,
    (index, level): (usize, &LevelModel),
) -> Result<(), ExperimentError> {
    let first = order(config, features, 0).into_iter().take(config.train.batch);
    let maps = first.map(|i| features.maps(Part::Train, i)).collect::<Result<Vec<_>, _>>()?;
    let scaled = maps.iter().map(|m| level.scaled(m.level(index)));
    let scaled = scaled.collect::<Result<Vec<_>, _>>()?;
    let batch: Vec<&[f32]> = scaled.iter().map(AsRef::as_ref).collect();
    level.initialize(&batch)
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
        let places = sample(config, model, features, (index, level), config.prior.memory_sample);
        let mut draws = seeded(config.seed, &format!("prior.memory.{index}"));
        for class in 0..model.classes.len() {
            let of_class = |p: &&Place| features.train[p.0].class == class;
            let own: Vec<Place> = places.iter().filter(of_class).copied().collect();
            let z = latents(features, Part::Train, (index, level), &own)?;
            level.prior.remember(class as u32, &z, &mut draws)?;
        }
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
    let places = sample(config, model, features, (index, level), config.prior.sample);
    let z = latents(features, Part::Train, (index, level), &places)?;
    Ok((z, places.iter().map(|(image, _)| features.train[*image].class as u32).collect()))
}

/// About `of_class` places of each class, on the average of classes.
fn sample(
    config: &Config,
    model: &Model,
    features: &Features,
    (index, level): (usize, &LevelModel),
    of_class: usize,
) -> Vec<Place> {
    draw(config, features, level, index, of_class.saturating_mul(model.classes.len()))
}

/// About `count` places of the training images, as many of each image, drawn from the seed.
fn draw(
    config: &Config,
    features: &Features,
    level: &LevelModel,
    index: usize,
    count: usize,
) -> Vec<Place> {
    let positions = level.shape.positions();
    let of_each = count.div_ceil(features.train.len().max(1)).min(positions);
    let mut draws = seeded(config.seed, &format!("start.{index}.{count}"));
    let mut places = Vec::with_capacity(of_each * features.train.len());
    for image in 0..features.train.len() {
        let drawn = draws.permutation(positions).into_iter().take(of_each);
        places.extend(drawn.map(|position| (image, position)));
    }
    places
}
