//! Photographs smaller than `data.img_size`: the size they have by themselves reaches maps and calibration.

use candle_core::Device;
use hgad_experiment::calibration::calibrate;
use hgad_experiment::{Model, Silent, compose, data, evaluate, features};

#[test]
fn magnified_classes_are_known_as_such_wherever_they_are_judged() {
    let dir = tempfile::tempdir().unwrap();
    for (img_size, native) in [("data.img_size=64", 0), ("data.img_size=128", 1)] {
        let settings = [
            img_size,
            "data.synthetic.size=64",
            "data.mask_size=64",
            "data.synthetic.train=10",
            "data.synthetic.test_good=1",
            "data.synthetic.test_anomalous=1",
            "backbone.pyramid=2",
            "backbone.taps=[8]",
            "flow.blocks=2",
            "score.rule=standardized",
            "score.coarser=0.25",
        ];
        let mut config = compose("demo", &settings.map(String::from)).unwrap();
        config.cache.dir = dir.path().into();
        let data = data::open(&config).unwrap();
        let features = features::prepare(&config, &data, &Silent).unwrap();
        assert!(features.native.iter().all(|n| *n == native), "{:?}", features.native);
        let classes = data.dataset.classes();
        let model = Model::new(&config, features.shapes(), classes, &Device::Cpu).unwrap();
        let calibration = calibrate(&config, &model, &features, &Silent).unwrap();
        let constants = &calibration.classes[0].constants.normal;
        assert!(constants.len() == 2 && constants.iter().all(|n| n.native == native));
        evaluate::class_maps(&config, &model, &features, |of| {
            assert!(of.levels.iter().flat_map(|l| &l.normal).all(|n| n.native == native));
            Ok(())
        })
        .unwrap();
    }
}
