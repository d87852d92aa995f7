//! Vectors and latents at chosen places of images.

use crate::error::ExperimentError;
use crate::features::{Features, Part};
use crate::model::{LevelModel, host};
use candle_core::Tensor;

/// An image of a part of the data, and a position of its map.
pub(crate) type Place = (usize, usize);

/// Vectors that go through the flow at once.
const CHUNK: usize = 4096;

/// Features (n, D), row-major, of level `index` at `places`, those of an image one after the other.
///
/// # Errors
/// What reading gives.
pub(crate) fn vectors(
    features: &Features,
    part: Part,
    (index, level): (usize, &LevelModel),
    places: &[Place],
) -> Result<Vec<f32>, ExperimentError> {
    let dim = level.shape.channels;
    let mut out = Vec::with_capacity(places.len() * dim);
    for of_image in places.chunk_by(|a, b| a.0 == b.0) {
        let maps = features.maps(part, of_image[0].0)?;
        let map = maps.level(index);
        of_image.iter().for_each(|(_, p)| out.extend_from_slice(&map[p * dim..(p + 1) * dim]));
    }
    Ok(out)
}

/// Latents (n, D), row-major, of level `index` at `places`, those of an image one after the other. A flow that
/// looks at neighbours is given whole maps.
///
/// # Errors
/// What reading gives; shapes that do not fit.
pub(crate) fn latents(
    features: &Features,
    part: Part,
    (index, level): (usize, &LevelModel),
    places: &[Place],
) -> Result<Vec<f32>, ExperimentError> {
    let (all, dim) = (level.shape.positions(), level.shape.channels);
    let mut out = Vec::with_capacity(places.len() * dim);
    if level.flow.whole_maps() {
        for of_image in places.chunk_by(|a, b| a.0 == b.0) {
            let maps = features.maps(part, of_image[0].0)?;
            let x = level.scaled(maps.level(index))?.into_owned();
            let x = Tensor::from_vec(x, (all, dim), level.device())?;
            let z = host(&level.latents(&x, 0, all)?.0)?;
            of_image.iter().for_each(|(_, p)| out.extend_from_slice(&z[p * dim..(p + 1) * dim]));
        }
        return Ok(out);
    }
    for places in places.chunks(CHUNK) {
        let x = level.scaled(vectors(features, part, (index, level), places)?.into())?;
        let x = Tensor::from_slice(&x, (places.len(), dim), level.device())?;
        let positions: Vec<u32> = places.iter().map(|(_, p)| *p as u32).collect();
        out.extend(host(&level.latents_at(&x, &positions)?)?);
    }
    Ok(out)
}
