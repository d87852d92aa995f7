//! Maps at strides 4, 8 and 16 against timm's, and real weights against torchvision's.

mod common;

use candle_core::Device;
use common::{Formula, asset, channels_last, images, relative};
use hgad_backbones::{BackboneSpec, build, build_from};
use std::path::Path;

fn check(name: &str, file: &Path) {
    let t = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
    let bytes = std::fs::read(file).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let side: usize = header.metadata().as_ref().unwrap()["side"].parse().unwrap();
    let backbone = build_from(name, &[4, 8, 16], &Formula).unwrap();
    let maps = backbone.extract(&images(side)).unwrap();
    assert_eq!(maps.len(), 3);
    for (map, stride) in maps.iter().zip([4, 8, 16]) {
        let error = relative(map, &channels_last(&t[&format!("stride{stride}")]));
        assert!(error < 1e-3, "{name} at stride {stride}: {error}");
    }
}

macro_rules! oracle {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            let file = format!("tests/fixtures/backbone_{}.safetensors", stringify!($name));
            check(stringify!($name), Path::new(&file));
        }
    )*};
}
oracle!(tf_efficientnet_b0 tf_efficientnet_b4 tf_efficientnet_b6 tf_efficientnet_lite0 mobilenetv2_100 resnet18);

#[test]
fn bottleneck_networks() {
    for name in ["resnet50", "wide_resnet50_2"] {
        if let Some(file) = asset(&format!("fixtures/backbone_{name}.safetensors")) {
            check(name, &file);
        }
    }
}

#[test]
fn resnet18_with_its_real_weights() {
    let (Some(golden), Some(weights)) =
        (asset("weights/resnet18_golden.safetensors"), asset("weights/resnet18.safetensors"))
    else {
        return;
    };
    let t = candle_core::safetensors::load(golden, &Device::Cpu).unwrap();
    let spec = BackboneSpec {
        kind: "resnet18".into(),
        weights: Some(weights),
        taps: vec![8, 16],
        ..Default::default()
    };
    let maps = build(&spec).unwrap().extract(&channels_last(&t["input"])).unwrap();
    for (map, key) in maps.iter().zip(["stride8", "stride16"]) {
        let error = relative(map, &channels_last(&t[key]));
        assert!(error < 1e-4, "{key}: {error}");
    }
}

#[test]
fn lite0_with_its_real_weights_and_normalization() {
    let Some(weights) = asset("weights/tf_efficientnet_lite0.safetensors") else { return };
    let spec = BackboneSpec {
        kind: "tf_efficientnet_lite0".into(),
        weights: Some(weights),
        ..Default::default()
    };
    let backbone = build(&spec).unwrap();
    assert_eq!(backbone.normalization().mean, [127.0 / 255.0; 3]);
    assert_eq!(backbone.normalization().std, [128.0 / 255.0; 3]);
    let map = backbone.extract(&images(64)).unwrap().remove(0);
    assert_eq!(map.dims(), [1, 4, 4, 112]);
    assert!(common::flat(&map).iter().all(|v| v.is_finite()));
}
