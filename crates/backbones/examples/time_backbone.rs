//! Times a backbone: `cargo run --release --example time_backbone -- NAME SIDE BATCH [TAP]`.
//!
//! Weights do not matter for the time, so they are made up.

use candle_core::{DType, Device, Tensor};
use hgad_backbones::{BackboneError, BackboneSpec, WeightSource, build, build_from};
use std::error::Error;
use std::time::Instant;

/// Small weights that keep activations in range; variances are one.
struct MadeUp;

impl WeightSource for MadeUp {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, BackboneError> {
        if name.ends_with("running_var") {
            return Ok(Tensor::ones(shape, DType::F32, &Device::Cpu)?);
        }
        let fan_in = shape[1..].iter().product::<usize>().max(1) as f32;
        let limit = (3.0 / fan_in).sqrt();
        Ok(Tensor::rand(-limit, limit, shape, &Device::Cpu)?)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, side, batch, rest @ ..] = &arguments[..] else {
        return Err("usage: time_backbone NAME SIDE BATCH [TAP]".into());
    };
    let (side, batch): (usize, usize) = (side.parse()?, batch.parse()?);
    let default = if name == "scattering" { 8 } else { 16 };
    let tap = rest.first().map_or(Ok(default), |t| t.parse())?;
    let backbone = match name.as_str() {
        "scattering" => {
            build(&BackboneSpec { kind: name.clone(), taps: vec![tap], ..Default::default() })?
        }
        _ => build_from(name, &[tap], &MadeUp)?,
    };
    let images = Tensor::rand(-1f32, 1.0, (batch, side, side, 3), &Device::Cpu)?;
    backbone.extract(&images)?;
    let mut times = Vec::new();
    let begin = Instant::now();
    while times.len() < 5 || (begin.elapsed().as_secs() < 5 && times.len() < 200) {
        let start = Instant::now();
        backbone.extract(&images)?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    println!(
        "{name} {side} px, batch {batch}: median {:.1} ms, best {:.1} ms of {} ({}, {} threads)",
        times[times.len() / 2],
        times[0],
        times.len(),
        hgad_kernels::isa_name(),
        rayon::current_num_threads(),
    );
    Ok(())
}
