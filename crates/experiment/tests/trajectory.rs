//! Ten optimizer steps over two stages against the oracle's, on both ways to get gradients.

use candle_core::{DType, Device, Tensor};
use hgad_experiment::step::{LevelBatch, Maps, Step};
use hgad_experiment::{Adam, AdamSettings, Config, LevelShape, Model, learning_rate};
use hgad_losses::{LossConfig, StagedLoss};
use std::borrow::Cow;
use std::collections::HashMap;

fn values(t: &Tensor) -> Vec<f32> {
    t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn follow(fused: bool, chunk: usize, device: &Device) {
    let file = "tests/fixtures/trajectory.safetensors";
    let t: HashMap<String, Tensor> = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    let mut config = Config::default();
    config.flow.blocks = 2;
    config.flow.condition = 8;
    config.prior.centers = 3;
    config.train.rate = 2e-3;
    config.train.epochs = 5;
    let shapes = [4, 2].map(|s| LevelShape { height: s, width: s, channels: 24 });
    let classes = ["a", "b", "c"].map(String::from);
    let model = Model::new(&config, &shapes, &classes, device).unwrap();
    let settings = AdamSettings { betas: [0.95, 0.99], epsilon: 1e-8, decay: 1e-4 };
    let (mut adams, mut losses, mut trainers) = (Vec::new(), Vec::new(), Vec::new());
    for (l, level) in model.levels.iter().enumerate() {
        level.flow_parameters.load(&format!("start.flow{l}."), &t).unwrap();
        level.prior_parameters.load(&format!("start.prior{l}."), &t).unwrap();
        let (of_flow, of_prior) =
            (level.flow_parameters.trainable_vars(), level.prior_parameters.trainable_vars());
        adams.push(Adam::new(of_flow, of_prior).unwrap());
        losses.push(StagedLoss::new(&LossConfig::default(), level.prior.as_ref()).unwrap());
        trainers.push(level.flow.trainer(level.position.as_ref()).unwrap().filter(|_| fused));
        assert_eq!(trainers[l].is_some(), fused);
    }
    for step in 0..10 {
        let (epoch, within) = (step / 2, step % 2);
        let rate = learning_rate(&config.train, epoch, within, 2);
        let expected = values(&t[&format!("step{step}.lr")])[0] as f64;
        assert!((rate - expected).abs() < 1e-6 * expected, "rate of step {step}");
        let labels: Vec<u32> = t[&format!("step{step}.y")]
            .to_vec1::<i64>()
            .unwrap()
            .iter()
            .map(|y| *y as u32)
            .collect();
        for (l, level) in model.levels.iter().enumerate() {
            let x = values(&t[&format!("step{step}.level{l}.x")]);
            let maps = x.chunks(level.shape.len()).map(Cow::Borrowed).collect();
            let batch = LevelBatch { maps: Maps::Host(maps), labels: &labels };
            let mut s =
                Step { level, loss: &losses[l], trainer: trainers[l].as_deref_mut(), epoch, chunk };
            let got =
                s.run(&batch, 0..level.shape.positions(), &mut adams[l], rate, &settings).unwrap();
            let got = got.read().unwrap();
            let expected = values(&t[&format!("step{step}.level{l}.loss")])[0];
            let error = (got.total - expected).abs() / expected.abs();
            assert!(error < 1e-4, "step {step} level {l}: {} {expected}", got.total);
        }
    }
    for (l, level) in model.levels.iter().enumerate() {
        let parts = [("flow", &level.flow_parameters), ("prior", &level.prior_parameters)];
        for (part, parameters) in parts {
            for (name, got) in parameters.state() {
                let expected = values(&t[&format!("end.{part}{l}.{name}")]);
                let scale = expected.iter().fold(0f32, |m, v| m.max(v.abs()));
                for (a, b) in values(&got).iter().zip(&expected) {
                    // Adam divides by the root of tiny moments, which magnifies rounding.
                    assert!((a - b).abs() < 2e-3 * scale.max(1e-2), "{part}{l}.{name}: {a} {b}");
                }
            }
        }
    }
}

/// The CPU, and a CUDA device where this build can use one.
fn devices() -> Vec<Device> {
    let mut all = vec![Device::Cpu];
    match Device::new_cuda(0) {
        Ok(device) => all.push(device),
        Err(_) => println!("no CUDA device here: the CPU alone"),
    }
    all
}

#[test]
fn autograd() {
    devices().iter().for_each(|device| follow(false, 1024, device));
}

#[test]
fn hand_written_gradients() {
    devices().iter().for_each(|device| follow(true, 1024, device));
}

#[test]
fn in_chunks() {
    for device in devices() {
        follow(false, 20, &device);
        follow(true, 20, &device);
    }
}
