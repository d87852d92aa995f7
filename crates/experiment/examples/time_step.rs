//! Times one optimizer step (flow, prior, losses, Adam) and one forward pass of a level at the
//! sizes of the method: `cargo run --release -p hgad-experiment --example time_step`.

use candle_core::Device;
use hgad_experiment::step::{LevelBatch, Step};
use hgad_experiment::{Adam, AdamSettings, Config, LevelShape, Model};
use hgad_losses::{LossConfig, StagedLoss};
use std::borrow::Cow;
use std::time::Instant;

fn median(mut run: impl FnMut()) -> f64 {
    run();
    let mut seconds: Vec<f64> = (0..7)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let images = 8;
    for (dim, grid, classes) in [(200, 16, 15), (200, 32, 15), (112, 16, 5)] {
        let config = Config::default();
        let shape = LevelShape { height: grid, width: grid, channels: dim };
        let names: Vec<String> = (0..classes).map(|c| c.to_string()).collect();
        let model = Model::new(&config, &[shape], &names, &Device::Cpu)?;
        let level = &model.levels[0];
        let mut draws = hgad_parameters::seeded(0, "features");
        let maps: Vec<Vec<f32>> = (0..images)
            .map(|_| (0..shape.len()).map(|_| draws.normal() as f32).collect())
            .collect();
        let labels: Vec<u32> = (0..images as u32).map(|i| i % classes).collect();
        let loss = StagedLoss::hgad(&LossConfig::default(), level.prior.as_ref())?;
        let mut adam = Adam::new(
            level.flow_parameters.trainable_vars(),
            level.prior_parameters.trainable_vars(),
        );
        let mut trainer = level.flow.trainer(level.position.as_ref())?;
        let settings = AdamSettings { betas: [0.95, 0.99], epsilon: 1e-8, decay: 1e-4 };
        let step = median(|| {
            let maps = maps.iter().map(|m| Cow::Borrowed(m.as_slice())).collect();
            let batch = LevelBatch { maps, labels: &labels };
            let mut step = Step {
                level,
                loss: &loss,
                trainer: trainer.as_deref_mut(),
                epoch: 2,
                chunk: config.train.chunk,
                device: &Device::Cpu,
            };
            step.run(&batch, &mut adam, 1e-5, &settings).expect("a step");
        });
        model.track(false);
        let forward = median(|| {
            level
                .scores(images, 0, config.train.chunk, &Device::Cpu, |i, x| {
                    x.extend_from_slice(&maps[i]);
                    Ok(())
                })
                .expect("scores");
        });
        let vectors = (images * shape.positions()) as f64;
        println!(
            "D {dim} N {vectors}: training step {:.1} us a vector, scores {:.1} us a vector",
            step / vectors * 1e6,
            forward / vectors * 1e6
        );
    }
    Ok(())
}
