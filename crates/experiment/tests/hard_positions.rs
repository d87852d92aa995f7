//! Training where images are least likely.

use candle_core::Device;
use hgad_experiment::hard_positions::hard_positions;
use hgad_experiment::train::Trainer;
use hgad_experiment::{
    Config, ExperimentError, LevelShape, Model, Silent, compose, data, features,
};
use hgad_parameters::seeded;
use std::borrow::Cow;

#[test]
fn each_map_gives_its_own_positions() {
    let mut config = Config::default();
    config.flow.blocks = 2;
    config.flow.condition = 0;
    let shape = LevelShape { height: 4, width: 5, channels: 6 };
    let model = Model::new(&config, &[shape], &["a".into(), "b".into()], &Device::Cpu).unwrap();
    let level = &model.levels[0];
    model.track(true);
    // Far out at two places, others in each map.
    let far = [[3, 17], [8, 9], [0, 19]];
    let map = |b: usize| -> Vec<f32> {
        let value = |i: usize| ((i * (b + 3)) as f32 * 0.37).sin();
        let scale = |i: usize| if far[b].contains(&(i / 6)) { 40.0 } else { 1.0 };
        (0..shape.len()).map(|i| value(i) * scale(i)).collect()
    };
    let maps: Vec<Vec<f32>> = (0..3).map(map).collect();
    let labels = [0, 1, 0];
    let given: Vec<Cow<[f32]>> = maps.iter().map(|m| Cow::Borrowed(m.as_slice())).collect();
    for chunk in [1000, 7] {
        let mut draws = seeded(0, "places");
        let of = (&given[..], &labels[..]);
        let chosen = hard_positions(level, of, (0.5, 4), chunk, &mut draws).unwrap();
        for (b, of) in chosen.iter().enumerate() {
            let vectors: Vec<&[f32]> = of.chunks(6).collect();
            assert_eq!(vectors.len(), 4);
            for place in far[b] {
                assert!(vectors.contains(&&maps[b][place * 6..(place + 1) * 6]), "{b} {place}");
            }
            let of_map = |v: &&&[f32]| maps[b].chunks(6).any(|m| m == **v);
            assert_eq!(vectors.iter().filter(of_map).count(), 4);
        }
    }
    assert!(level.flow_parameters.tracked() && level.prior_parameters.tracked());
}

/// The demo, small, with a share of the positions at a time.
fn small(positions: f64, hard: f64, cache: &std::path::Path) -> Config {
    let settings = [
        "data.img_size=64",
        "data.mask_size=64",
        "data.synthetic.size=64",
        "data.synthetic.train=8",
        "data.synthetic.test_good=1",
        "data.synthetic.test_anomalous=1",
        "backbone.pyramid=1",
        "backbone.taps=[4]",
        "flow.blocks=2",
        "flow.condition=0",
        "train.epochs=3",
        "train.passes=1",
    ];
    let mut config = compose("demo", &settings.map(String::from)).unwrap();
    config.train.positions = positions;
    config.train.hard = hard;
    config.cache.dir = cache.into();
    config
}

#[test]
fn it_trains_on_what_costs_most_and_the_same_again() {
    let dir = tempfile::tempdir().unwrap();
    // How unlikely what it trained on was in each pass, and the loss.
    let unlikely = |positions: f64, hard: f64| -> (Vec<f64>, Vec<f64>) {
        let config = small(positions, hard, dir.path());
        let data = data::open(&config).unwrap();
        let features = features::prepare(&config, &data, &Silent).unwrap();
        let classes = data.dataset.classes();
        let model = Model::new(&config, features.shapes(), classes, &Device::Cpu).unwrap();
        let mut trainer = Trainer::new(&config, model, &features).unwrap();
        let of_pass = |pass| {
            let record = trainer.pass(pass, &Silent).unwrap();
            (record.terms.iter().find(|(name, _)| name == "inter").unwrap().1, record.loss)
        };
        (0..3).map(of_pass).unzip()
    };
    let ((usual, _), (half, losses)) = (unlikely(0.25, 0.0), unlikely(0.25, 0.5));
    let (all, _) = unlikely(0.25, 1.0);
    assert!(half[0] > 1.05 * usual[0], "{usual:?} {half:?}");
    assert!(all[0] > 1.05 * half[0], "{half:?} {all:?}");
    assert!(losses[2] < 0.8 * losses[0], "{losses:?}");
    assert_eq!(unlikely(0.25, 0.5), (half, losses));
    // Of a share that runs of rows do not come in, the easiest positions are still left out.
    let ((every, _), (most, _)) = (unlikely(1.0, 0.0), unlikely(0.8, 1.0));
    assert!(most[0] > 1.02 * every[0] && most[0] < all[0], "{every:?} {most:?} {all:?}");
}

#[test]
fn a_flow_over_whole_maps_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = small(0.25, 0.5, dir.path());
    config.flow.kind = "fastflow".into();
    let data = data::open(&config).unwrap();
    let features = features::prepare(&config, &data, &Silent).unwrap();
    let classes = data.dataset.classes();
    let model = Model::new(&config, features.shapes(), classes, &Device::Cpu).unwrap();
    match Trainer::new(&config, model, &features).err().unwrap() {
        ExperimentError::Setting { key: "train.hard", reason, .. } => {
            assert!(reason.contains("fastflow"), "{reason}");
        }
        e => panic!("{e}"),
    }
}
