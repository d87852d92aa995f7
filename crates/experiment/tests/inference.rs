//! The flow's form for inference: equal to the flow operation by operation, and never an old one.

use candle_core::{Device, Tensor};
use hgad_experiment::{Config, LevelShape, Model};
use hgad_scores::{Wanted, score_terms};
use std::collections::HashMap;

const IMAGES: usize = 3;
const WANTED: Wanted = Wanted { entropy: true, remembered: false };

fn model(seed: u64, condition: usize) -> Model {
    let mut config = Config { seed, ..Config::default() };
    config.flow.blocks = 3;
    config.flow.condition = condition;
    let shape = LevelShape { height: 5, width: 7, channels: 18 };
    Model::new(&config, &[shape], &["a".into(), "b".into()], &Device::Cpu).unwrap()
}

fn features(model: &Model) -> Vec<f32> {
    let len = IMAGES * model.levels[0].shape.len();
    (0..len).map(|i| (i as f32 * 0.7).sin() * 1.5).collect()
}

/// Likelihoods as evaluation makes them.
fn scores(model: &Model) -> Vec<f32> {
    let (level, x) = (&model.levels[0], features(model));
    let len = level.shape.len();
    // Chunks of one image, so that positions are not always those of the first.
    let read = |i: usize, out: &mut Vec<f32>| {
        out.extend_from_slice(&x[i * len..(i + 1) * len]);
        Ok(())
    };
    level.scores(&[1; IMAGES], WANTED, 1, read).unwrap().likelihood
}

/// The same by candle's operations.
fn by_operations(model: &Model) -> Vec<f32> {
    let level = &model.levels[0];
    let (positions, channels) = (level.shape.positions(), level.shape.channels);
    let size = (IMAGES * positions, channels);
    let x = Tensor::from_vec(features(model), size, &Device::Cpu).unwrap();
    let (z, log_det) = level.latents(&x, 0, positions).unwrap();
    let terms = score_terms(level.prior.as_ref(), &z, &log_det, &[1; IMAGES], WANTED).unwrap();
    terms.likelihood.flatten_all().unwrap().to_vec1().unwrap()
}

fn agree(model: &Model, when: &str) {
    let (ours, expected) = (scores(model), by_operations(model));
    assert_eq!(ours.len(), expected.len());
    for (a, b) in ours.iter().zip(&expected) {
        assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{when}: {a} instead of {b}");
    }
}

#[test]
fn follows_the_parameters() {
    for condition in [8, 0] {
        let (model, other) = (model(1, condition), model(2, condition));
        model.track(false);
        agree(&model, "at the start");
        let first = scores(&model);

        let state: HashMap<String, Tensor> = other.state().into_iter().collect();
        model.load(&state).unwrap();
        agree(&model, "after loading");
        assert_ne!(first, scores(&model), "the other model scores alike");

        model.track(true);
        agree(&model, "in training");
        for var in model.levels[0].flow_parameters.trainable_vars() {
            let moved = (var.1.as_tensor() * 0.9).unwrap();
            var.1.set(&moved).unwrap();
        }
        agree(&model, "after a step");
        model.track(false);
        agree(&model, "after training");
    }
}
