//! Times what follows the flow in a training step, prior and losses with their gradients, for 40
//! classes of 10 centres: `cargo run --release -p hgad-losses --example time_prior`.

use candle_core::{DType, Device, Var};
use hgad_losses::{Latents, LossConfig, StagedLoss};
use hgad_parameters::{Parameters, seeded};
use hgad_priors::{PriorConfig, build};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (classes, centers, dim, images, chunk) = (40, 10, 200, 8, 2048);
    let vectors = 8192;
    let parameters = Parameters::new(0, DType::F32, &Device::Cpu);
    let kind = "hierarchical".into();
    let config = PriorConfig { kind, classes, dim, centers, ..Default::default() };
    let prior = build(&parameters, &config)?;
    let loss = StagedLoss::new(&LossConfig::default(), prior.as_ref())?;
    let labels: Vec<u32> = (0..images as u32).collect();
    let mut draws = seeded(0, "latents");
    let mut draw = |n: usize| (0..n).map(|_| draws.normal() as f32).collect::<Vec<_>>();
    let shape = (images, chunk / images, dim);
    let z = Var::from_vec(draw(chunk * dim), shape, &Device::Cpu)?;
    let log_det = Var::from_vec(draw(chunk), (images, chunk / images), &Device::Cpu)?;
    for (stage, epoch) in [("first", 0), ("second", 2)] {
        let step = || -> Result<f64, Box<dyn std::error::Error>> {
            let start = Instant::now();
            for _ in 0..vectors / chunk {
                let latents =
                    Latents::new(z.as_tensor(), log_det.as_tensor(), &labels, prior.as_ref())?;
                loss.value(&latents, epoch)?.total.backward()?;
            }
            Ok(start.elapsed().as_secs_f64())
        };
        step()?;
        let mut seconds = (0..15).map(|_| step()).collect::<Result<Vec<_>, _>>()?;
        seconds.sort_by(f64::total_cmp);
        println!(
            "{stage} stage, {classes} classes of {centers} centres, D {dim}: prior and losses {:.2} us a vector",
            seconds[7] / vectors as f64 * 1e6
        );
    }
    Ok(())
}
