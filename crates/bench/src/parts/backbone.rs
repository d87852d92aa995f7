//! `backbone/KIND_SIDE_bBATCH`: images to the map at stride 16, as in `timm`'s
//! `features_only=True, out_indices=[3]`.

use crate::case::Plan;
use crate::error::BenchError;
use candle_core::{Device, Tensor};
use hgad_backbones::{Backbone, BackboneError, WeightSource, build_from};
use hgad_parameters::seeded;

/// Kind, side of the images in pixels, batch.
const CASES: [(&str, usize, usize); 4] = [
    ("tf_efficientnet_b6", 512, 1),
    ("tf_efficientnet_b6", 1024, 1),
    ("tf_efficientnet_lite0", 256, 8),
    ("resnet18", 256, 8),
];

pub(crate) fn plans() -> Vec<Plan> {
    CASES
        .into_iter()
        .map(|(kind, side, batch)| {
            let name = format!("backbone/{kind}_{side}_b{batch}");
            Plan::new(name, "ms", move |setup| {
                let backbone = drawn(kind)?;
                let images = images(batch, side)?;
                let run = || backbone.extract(&images).map(drop);
                Ok(setup.clock.median(run).map_err(BenchError::from)? * 1e3)
            })
        })
        .collect()
}

/// The network `kind` to stride 16, with drawn weights.
pub(crate) fn drawn(kind: &str) -> Result<Box<dyn Backbone>, BenchError> {
    Ok(build_from(kind, &[16], &Drawn)?)
}

/// Standard normal pixels (B, S, S, 3).
fn images(batch: usize, side: usize) -> Result<Tensor, BenchError> {
    let mut draws = seeded(0, "images");
    let shape = (batch, side, side, 3);
    let pixels = (0..batch * side * side * 3).map(|_| draws.normal() as f32).collect();
    Ok(Tensor::from_vec(pixels, shape, &Device::Cpu)?)
}

/// Weights drawn by their names, small enough that activations stay in range; variances are one.
struct Drawn;

impl WeightSource for Drawn {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, BackboneError> {
        let count = shape.iter().product();
        let values = if name.ends_with("running_var") {
            vec![1.0; count]
        } else {
            let fan_in = shape[1..].iter().product::<usize>().max(1) as f64;
            let limit = (3.0 / fan_in).sqrt();
            let mut draws = seeded(0, name);
            (0..count).map(|_| draws.uniform(-limit, limit) as f32).collect()
        };
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }
}
