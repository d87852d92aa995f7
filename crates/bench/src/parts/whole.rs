//! `whole/test_image`: one test image at a time from its file to its anomaly map, on lite0 at
//! 256 pixels with 3 levels, 12 blocks and 5 classes.

use super::backbone::drawn;
use super::image_files::{ANY, ImageFiles};
use crate::case::{Plan, Setup};
use crate::error::BenchError;
use candle_core::{Device, Tensor};
use hgad_backbones::{Patches, extract_pyramid, map_sizes};
use hgad_datasets::{Transform, read_image};
use hgad_experiment::{Config, LevelShape, Model};
use hgad_scores::{MapConfig, Wanted};
use std::path::Path;

const SIDE: usize = 256;
const LEVELS: usize = 3;
const CLASSES: usize = 5;

pub(crate) fn plans() -> Vec<Plan> {
    vec![Plan::new("whole/test_image", "ms an image", test_image)]
}

fn test_image(setup: &Setup) -> Result<f64, BenchError> {
    let files = ImageFiles::of(ANY, setup)?;
    let backbone = drawn("tf_efficientnet_lite0")?;
    let normalization = backbone.normalization();
    let transform = Transform { img_size: SIDE, mean: normalization.mean, std: normalization.std };
    let shapes: Vec<LevelShape> = map_sizes(backbone.as_ref(), SIDE, LEVELS, &Patches::default())?
        .into_iter()
        .map(|(height, width, channels)| LevelShape { height, width, channels })
        .collect();
    let names: Vec<String> = (0..CLASSES).map(|c| c.to_string()).collect();
    let config = Config::default();
    let model = Model::new(&config, &shapes, &names, &Device::Cpu)?;
    model.track(false);
    let rule = hgad_scores::rule("product")?;
    let map = MapConfig {
        size: config.data.mask_size,
        sigma: config.score.sigma,
        ..MapConfig::default()
    };
    let mut number = 0;
    let to_map = |path: &Path| -> Result<Vec<f32>, BenchError> {
        let pixels = transform.image(&read_image(path)?)?;
        let image = Tensor::from_vec(pixels, (1, SIDE, SIDE, 3), &Device::Cpu)?;
        let maps = extract_pyramid(backbone.as_ref(), &image, LEVELS, &Patches::default())?;
        let wanted = Wanted { entropy: true, ..Wanted::default() };
        let levels = model
            .levels
            .iter()
            .zip(&maps)
            .map(|(level, features)| {
                level.scores(&[0], wanted, config.train.chunk, |_, x| {
                    x.extend(features.flatten_all()?.to_vec1::<f32>()?);
                    Ok(())
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(rule.maps(1, &levels, &map)?)
    };
    let seconds = setup.clock.median(|| {
        number += 1;
        to_map(&files.paths[number % files.paths.len()]).map(drop)
    })?;
    Ok(seconds * 1e3)
}
