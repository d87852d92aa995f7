//! Microseconds a vector of each kind's forward and backward by autograd, and of the fused trainer
//! where there is one: `cargo run --release -p hgad-flows --example time_kinds`.

use candle_core::{DType, Device, Tensor};
use hgad_flows::{FeatureMaps, FlowConfig, build, kinds, position_encoding};
use hgad_parameters::{Parameters, seeded};
use std::time::Instant;

const MAP: (usize, usize) = (16, 16);
const IMAGES: usize = 8;
const DIM: usize = 112;
const CONDITION: usize = 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let rows = IMAGES * MAP.0 * MAP.1;
    let mut draws = seeded(0, "features");
    let x: Vec<f32> = (0..rows * DIM).map(|_| draws.normal() as f32).collect();
    let t = Tensor::from_slice(&x, (rows, DIM), &Device::Cpu)?;
    let code = position_encoding(CONDITION, MAP.0, MAP.1, DType::F32, &Device::Cpu)?;
    println!("12 blocks, D = {DIM}, {rows} vectors; median of 5, µs a vector");
    for kind in kinds() {
        let p = Parameters::new(0, DType::F32, &Device::Cpu);
        let condition = CONDITION;
        let c = FlowConfig { kind, dim: DIM, condition, map: MAP, ..Default::default() };
        let flow = build(&p, &c)?;
        let autograd = median(rows, || {
            let (z, log_det) = flow.forward(&t, Some(&code))?;
            let loss = (z.sqr()?.sum_all()? - log_det.sum_all()?)?;
            loss.backward()?;
            Ok(())
        })?;
        print!("{:9} autograd {autograd:6.1}", c.kind);
        if let Some(mut trainer) = flow.trainer(Some(&code))? {
            let maps = FeatureMaps::Host(x.chunks_exact(MAP.0 * MAP.1 * DIM).collect());
            let fused = median(rows, || {
                trainer.begin()?;
                let (z, log_det) = trainer.forward(&maps, 0, MAP.0 * MAP.1)?;
                Ok(trainer.backward(&z, &log_det)?)
            })?;
            print!("  fused {fused:6.1}");
        }
        println!();
    }
    Ok(())
}

fn median(
    rows: usize,
    mut run: impl FnMut() -> Result<(), Box<dyn std::error::Error>>,
) -> Result<f64, Box<dyn std::error::Error>> {
    let mut times = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        run()?;
        times.push(started.elapsed().as_secs_f64() / rows as f64 * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[2])
}
