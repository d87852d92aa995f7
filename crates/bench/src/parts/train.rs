//! `train/D112_256_levels3_b8`: a pass over cached features of the size that lite0 gives of
//! images of 256 pixels, from the disk's cache to the optimizer.

use crate::case::{Plan, Setup};
use crate::clock::Clock;
use crate::error::BenchError;
use candle_core::{Device, Tensor};
use hgad_backbones::{Backbone, BackboneError, Level, Normalization};
use hgad_experiment::train::Trainer;
use hgad_experiment::{Config, ExperimentError, Model, Silent, compose, data, features};
use hgad_parameters::seeded;

/// Images a class of the six synthetic ones.
const IMAGES_A_CLASS: usize = 16;
const CHANNELS: usize = 112;
const STRIDE: usize = 16;
/// Its name in the registry of backbones.
const NOISE: &str = "bench-noise";

pub(crate) fn plans() -> Vec<Plan> {
    vec![Plan::new("train/D112_256_levels3_b8", "µs a vector", pass)]
}

fn pass(setup: &Setup) -> Result<f64, BenchError> {
    // A second case in one process finds it registered.
    let _ = hgad_backbones::register(NOISE, |_| Ok(Box::new(Noise::new())));
    let folder =
        tempfile::tempdir().map_err(|e| ExperimentError::io("make", &std::env::temp_dir(), e))?;
    let config = config(folder.path())?;
    let data = data::open(&config)?;
    let features = features::prepare(&config, &data, &Silent)?;
    let model = Model::new(&config, features.shapes(), data.dataset.classes(), &Device::Cpu)?;
    let mut trainer = Trainer::new(&config, model, &features)?;
    let images = trainer.steps() * config.train.batch;
    let vectors: usize = images * features.shapes().iter().map(|s| s.positions()).sum::<usize>();
    // Passes of the second stage, which are nearly all of a real run.
    let mut number = config.loss.second_stage * config.train.passes;
    let clock = Clock { least: setup.clock.least.min(3), ..setup.clock };
    let seconds = clock.median(|| {
        number += 1;
        trainer.pass(number, &Silent).map(drop)
    })?;
    Ok(seconds / vectors as f64 * 1e6)
}

fn config(cache: &std::path::Path) -> Result<Config, ExperimentError> {
    let mut config = compose("demo", &[])?;
    config.cache.dir = cache.into();
    config.backbone.kind = NOISE.into();
    config.backbone.pyramid = 3;
    config.data.img_size = 256;
    config.data.synthetic.size = 64;
    config.data.synthetic.train = IMAGES_A_CLASS;
    config.data.synthetic.test_good = 1;
    config.data.synthetic.test_anomalous = 1;
    config.flow = Config::default().flow;
    config.train = Config::default().train;
    config.train.epochs = 1000;
    config.train.passes = 1;
    config.calibration.share = 0.0;
    Ok(config)
}

/// Normal numbers in the shape of a network's features: this part times no network.
struct Noise([Level; 1]);

impl Noise {
    fn new() -> Self {
        Self([Level { name: "noise".into(), channels: CHANNELS, stride: STRIDE }])
    }
}

impl Backbone for Noise {
    fn name(&self) -> &str {
        NOISE
    }

    fn levels(&self) -> &[Level] {
        &self.0
    }

    fn normalization(&self) -> Normalization {
        Normalization::IMAGENET
    }

    fn extract(&self, images: &Tensor) -> Result<Vec<Tensor>, BackboneError> {
        let (b, h, w, _) = images.dims4()?;
        let (h, w) = (h / STRIDE, w / STRIDE);
        // Anew for each batch, by one of its pixels.
        let pixel = images.flatten_all()?.get(0)?.to_scalar::<f32>()?;
        let mut draws = seeded(u64::from(pixel.to_bits()), "features");
        let values: Vec<f32> = (0..b * h * w * CHANNELS).map(|_| draws.normal() as f32).collect();
        Ok(vec![Tensor::from_vec(values, (b, h, w, CHANNELS), &Device::Cpu)?])
    }

    fn map_size(&self, height: usize, width: usize) -> Vec<(usize, usize)> {
        vec![(height / STRIDE, width / STRIDE)]
    }

    fn fingerprint(&self) -> String {
        "0".repeat(32)
    }
}
