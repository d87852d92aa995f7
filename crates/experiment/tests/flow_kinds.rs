//! Training of flows that need more than a step of vectors: those over whole maps, and those that
//! start from data.

use candle_core::{Device, Tensor};
use hgad_experiment::step::{LevelBatch, Maps, Step};
use hgad_experiment::train::Trainer;
use hgad_experiment::{Config, LevelShape, Model, Silent, checkpoint, compose, data, features};
use hgad_losses::{LossConfig, StagedLoss};
use std::borrow::Cow;
use std::collections::HashMap;

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// The loss and every gradient of a batch of five maps, `chunk` vectors at once.
fn gradients(kind: &str, chunk: usize) -> (f32, HashMap<usize, Vec<f32>>) {
    let mut config = Config { seed: 3, ..Config::default() };
    config.flow.kind = kind.into();
    config.flow.blocks = 2;
    config.flow.condition = 8;
    let shape = LevelShape { height: 4, width: 3, channels: 10 };
    let model = Model::new(&config, &[shape], &["a".into(), "b".into()], &Device::Cpu).unwrap();
    let level = &model.levels[0];
    let map = |b: usize| (0..shape.len()).map(|i| ((i * (b + 3)) as f32 * 0.37).sin()).collect();
    let maps: Vec<Vec<f32>> = (0..5).map(map).collect();
    let labels = [0, 1, 1, 0, 1];
    let loss = StagedLoss::new(&LossConfig::default(), level.prior.as_ref()).unwrap();
    let mut step = Step { level, loss: &loss, trainer: None, epoch: 2, chunk };
    let maps = maps.iter().map(|m| Cow::Borrowed(m.as_slice())).collect();
    let parameters = [&level.flow_parameters, &level.prior_parameters];
    let vars: Vec<_> = parameters.iter().flat_map(|p| p.trainable_vars()).collect();
    let mut all = HashMap::new();
    let losses = step
        .gradients(
            &LevelBatch { maps: Maps::Host(maps), labels: &labels },
            0..shape.positions(),
            |_, var, g| {
                let at = vars.iter().position(|(_, v)| v.id() == var.id()).unwrap();
                all.insert(at, g.to_vec()?);
                Ok(())
            },
        )
        .unwrap();
    (losses.read().unwrap().total, all)
}

#[test]
fn maps_go_whole_however_small_the_chunk() {
    for kind in ["fastflow", "realnvp"] {
        let (loss, whole) = gradients(kind, 1000);
        // One map of 12 vectors at once, then two and the one that is left.
        for chunk in [1, 25] {
            let (other, parts) = gradients(kind, chunk);
            assert!((loss - other).abs() < 1e-4 * loss.abs(), "{kind} by {chunk}: {loss} {other}");
            assert_eq!(whole.len(), parts.len());
            for (var, a) in &whole {
                let scale = a.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
                for (a, b) in a.iter().zip(&parts[var]) {
                    assert!((a - b).abs() < 1e-3 * scale, "{kind} by {chunk}: {a} {b}");
                }
            }
        }
    }
}

#[test]
fn a_part_of_a_map_is_refused() {
    let mut config = Config::default();
    config.flow.kind = "fastflow".into();
    config.flow.blocks = 1;
    config.flow.condition = 4;
    let shape = LevelShape { height: 4, width: 3, channels: 10 };
    let model = Model::new(&config, &[shape], &["a".into()], &Device::Cpu).unwrap();
    let x = Tensor::zeros((24, 10), candle_core::DType::F32, &Device::Cpu).unwrap();
    let message = model.levels[0].latents(&x, 0, 6).unwrap_err().to_string();
    assert!(message.contains("4 x 3"), "{message}");
    model.levels[0].latents(&x, 0, 12).unwrap();
    // Twelve vectors from anywhere would be taken for a map.
    let places: Vec<u32> = (0..12).collect();
    let x = x.narrow(0, 0, 12).unwrap();
    let message = model.levels[0].latents_at(&x, &places).unwrap_err().to_string();
    assert!(message.contains("4 x 3"), "{message}");
}

fn small(kind: &str, cache: &std::path::Path) -> Config {
    let settings = [
        "data.img_size=64",
        "data.mask_size=64",
        "data.synthetic.size=64",
        "data.synthetic.train=4",
        "data.synthetic.test_good=1",
        "data.synthetic.test_anomalous=1",
        "backbone.pyramid=2",
        "backbone.taps=[8]",
        "flow.blocks=2",
        "flow.condition=8",
        "train.epochs=4",
        "train.passes=1",
    ];
    let mut config = compose("demo", &settings.map(String::from)).unwrap();
    config.flow.kind = kind.into();
    config.cache.dir = cache.into();
    config
}

fn state(model: &Model) -> Vec<(String, Vec<f32>)> {
    model.state().iter().map(|(n, t)| (n.clone(), values(t))).collect()
}

/// Passes `from..to`, as a run makes them.
fn train(trainer: &mut Trainer, from: usize, to: usize) {
    for pass in from..to {
        trainer.pass(pass, &Silent).unwrap();
    }
}

#[test]
fn starts_from_data_are_the_same_again_and_survive_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let actnorm = "blocks.0.actnorm.log_scale";
    for (kind, name) in
        [("glow", actnorm), ("spline", actnorm), ("coupling", "module_list.0.global_offset")]
    {
        let mut config = small(kind, dir.path());
        if kind == "coupling" {
            config.flow.affine = "data".into();
        }
        let data = data::open(&config).unwrap();
        let features = features::prepare(&config, &data, &Silent).unwrap();
        let start = || {
            let classes = data.dataset.classes();
            let model = Model::new(&config, features.shapes(), classes, &Device::Cpu).unwrap();
            Trainer::new(&config, model, &features).unwrap()
        };
        let mut whole = start();
        train(&mut whole, 0, 1);
        // What the first batch asks for is far from the identity, and more than a step away.
        let scale = |t: &Trainer| {
            let all = state(&t.model);
            let name = format!("levels.1.flow.{name}");
            all.into_iter().find(|(n, _)| *n == name).unwrap().1
        };
        assert!(scale(&whole).iter().any(|s| s.abs() > 0.3), "{kind}: {:?}", scale(&whole));
        train(&mut whole, 1, 4);

        let mut again = start();
        train(&mut again, 0, 2);
        let file = dir.path().join(format!("{kind}.safetensors"));
        let progress = checkpoint::Progress { passes: 2, ..Default::default() };
        checkpoint::save(&file, &again.model, &again.optimizers, &again.averages, &progress)
            .unwrap();
        let mut resumed = start();
        let progress =
            checkpoint::load(&file, &resumed.model, &mut resumed.optimizers, &mut resumed.averages)
                .unwrap();
        train(&mut resumed, progress.passes, 4);
        assert!(state(&resumed.model) == state(&whole.model), "{kind}: resumed otherwise");
        train(&mut again, 2, 4);
        assert!(state(&again.model) == state(&whole.model), "{kind}: another run differs");
    }
}

#[test]
fn a_prior_starts_from_latents_of_the_flow_as_it_starts() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, affine) in [("glow", "identity"), ("coupling", "data"), ("fastflow", "data")] {
        let mut config = small(kind, dir.path());
        config.flow.affine = affine.into();
        config.prior.kind = "mixture".into();
        config.prior.start = "clusters".into();
        // A step so small that all is where it started.
        config.train.rate = 1e-12;
        let data = data::open(&config).unwrap();
        let features = features::prepare(&config, &data, &Silent).unwrap();
        let classes = data.dataset.classes();
        let model = Model::new(&config, features.shapes(), classes, &Device::Cpu).unwrap();
        let mut trainer = Trainer::new(&config, model, &features).unwrap();
        train(&mut trainer, 0, 1);
        let level = &trainer.model.levels[0];
        let (positions, dim) = (level.shape.positions(), level.shape.channels);
        let mut means = vec![vec![0.0f32; dim]; classes.len()];
        for (i, sample) in features.train.iter().enumerate() {
            let maps = features.maps(features::Part::Train, i).unwrap();
            let x = level.scaled(maps.level(0)).unwrap().into_owned();
            let x = Tensor::from_vec(x, (positions, dim), &Device::Cpu).unwrap();
            let z = values(&level.latents(&x, 0, positions).unwrap().0.detach());
            let own = features.train.iter().filter(|s| s.class == sample.class).count();
            for (j, v) in z.into_iter().enumerate() {
                means[sample.class][j % dim] += v / (own * positions) as f32;
            }
        }
        let state = state(&trainer.model);
        let centers = &state.iter().find(|(n, _)| n == "levels.0.prior.mu").unwrap().1;
        for (mean, center) in means.concat().iter().zip(centers) {
            assert!((mean - center).abs() < 2e-3, "{kind}: {mean}, {center}");
        }
    }
}
