//! Facts about every architecture, and what a spec refuses.

mod common;

use candle_core::{DType, Device, Tensor};
use common::Formula;
use hgad_backbones::{
    Backbone, BackboneError, BackboneSpec, Level, Normalization, Patches, build, build_from,
    extract_pyramid, known, map_sizes, register,
};

/// Channels at strides 4, 8 and 16 in timm.
const CHANNELS: [(&str, [usize; 3]); 14] = [
    ("tf_efficientnet_b0", [24, 40, 112]),
    ("tf_efficientnet_b1", [24, 40, 112]),
    ("tf_efficientnet_b2", [24, 48, 120]),
    ("tf_efficientnet_b3", [32, 48, 136]),
    ("tf_efficientnet_b4", [32, 56, 160]),
    ("tf_efficientnet_b5", [40, 64, 176]),
    ("tf_efficientnet_b6", [40, 72, 200]),
    ("tf_efficientnet_b7", [48, 80, 224]),
    ("tf_efficientnet_lite0", [24, 40, 112]),
    ("mobilenetv2_100", [24, 32, 96]),
    ("resnet18", [64, 128, 256]),
    ("resnet34", [64, 128, 256]),
    ("resnet50", [256, 512, 1024]),
    ("wide_resnet50_2", [256, 512, 1024]),
];

#[test]
fn channels_strides_and_sizes() {
    for (kind, channels) in CHANNELS {
        let net = build_from(kind, &[4, 8, 16], &Formula).unwrap();
        assert_eq!(net.name(), kind);
        let found: Vec<(usize, usize)> =
            net.levels().iter().map(|l| (l.channels, l.stride)).collect();
        let expected: Vec<(usize, usize)> = channels.into_iter().zip([4, 8, 16]).collect();
        assert_eq!(found, expected, "{kind}");
        // Windows larger than the map, odd sizes, sides that differ.
        for (h, w) in [(33, 47), (32, 32)] {
            let images = Tensor::zeros((2, h, w, 3), DType::F32, &Device::Cpu).unwrap();
            let maps = net.extract(&images).unwrap();
            for ((map, (height, width)), c) in maps.iter().zip(net.map_size(h, w)).zip(channels) {
                assert_eq!(map.dims(), [2, height, width, c], "{kind} on {h}x{w}");
            }
        }
    }
}

#[test]
fn only_the_layers_up_to_the_last_tap_are_asked_for() {
    struct Shallow;
    impl hgad_backbones::WeightSource for Shallow {
        fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, BackboneError> {
            assert!(!name.starts_with("layer2"), "{name} is not needed at stride 4");
            Formula.tensor(name, shape)
        }
    }
    let net = build_from("resnet18", &[4], &Shallow).unwrap();
    assert_eq!(net.levels(), [Level { name: "layer1".into(), channels: 64, stride: 4 }]);
}

#[test]
fn images_of_a_batch_do_not_mix() {
    for kind in ["tf_efficientnet_b0", "resnet18"] {
        let net = build_from(kind, &[16], &Formula).unwrap();
        let one = common::images(64);
        let other = (&one * -0.5).unwrap();
        let both = net.extract(&Tensor::cat(&[&one, &other], 0).unwrap()).unwrap();
        let alone = net.extract(&other).unwrap();
        let second = both[0].narrow(0, 1, 1).unwrap();
        assert!(common::relative(&second, &alone[0]) < 1e-5, "{kind}");
    }
}

#[test]
fn the_fingerprint_tells_weights_taps_and_architecture_apart() {
    struct Touched;
    impl hgad_backbones::WeightSource for Touched {
        fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, BackboneError> {
            let t = Formula.tensor(name, shape)?;
            if name == "layer3.1.bn2.bias" { Ok((t + 1e-3)?) } else { Ok(t) }
        }
    }
    let key = |kind: &str, taps: &[usize]| build_from(kind, taps, &Formula).unwrap().fingerprint();
    let base = key("resnet18", &[16]);
    assert_eq!(base, key("resnet18", &[16]));
    assert_ne!(base, key("resnet18", &[8]));
    assert_ne!(base, key("resnet34", &[16]));
    assert_ne!(base, build_from("resnet18", &[16], &Touched).unwrap().fingerprint());
    assert!(base.len() == 64 && base.bytes().all(|b| b.is_ascii_hexdigit()));
}

#[test]
fn the_pyramid_is_the_backbone_at_each_size() {
    let net = build_from("tf_efficientnet_b0", &[8, 16], &Formula).unwrap();
    let images = common::images(130);
    let maps = extract_pyramid(net.as_ref(), &images, 3, &Patches::default()).unwrap();
    let sizes = map_sizes(net.as_ref(), 130, 3, &Patches::default()).unwrap();
    assert_eq!(sizes.len(), 6);
    for (map, (h, w, c)) in maps.iter().zip(&sizes) {
        assert_eq!(map.dims(), [1, *h, *w, *c]);
    }
    assert_eq!(&sizes[..3], [(17, 17, 40), (9, 9, 112), (9, 9, 40)]);
    let half = hgad_kernels::resize_bilinear(&images, 65, 65).unwrap();
    assert_eq!(common::relative(&maps[3], &net.extract(&half).unwrap()[1]), 0.0);
    let error =
        extract_pyramid(net.as_ref(), &images, 4, &Patches::default()).unwrap_err().to_string();
    assert!(error.contains("backbone.pyramid"), "{error}");
    assert!(map_sizes(net.as_ref(), 130, 0, &Patches::default()).is_err());
}

fn refusal(spec: BackboneSpec) -> String {
    build(&spec).err().expect("must be refused").to_string()
}

#[test]
fn refusals_name_what_is_wrong() {
    let kind = |k: &str| BackboneSpec { kind: k.into(), ..Default::default() };
    let error = refusal(kind("vgg16"));
    assert!(error.contains("vgg16") && error.contains("tf_efficientnet_b6"), "{error}");
    assert!(error.contains("scattering"), "{error}");
    for taps in [vec![32], vec![2], vec![16, 5]] {
        let error = build_from("resnet18", &taps, &Formula).err().unwrap().to_string();
        assert!(error.contains("[4, 8, 16]") && error.contains("backbone.taps"), "{error}");
    }
    let error = build_from("resnet18", &[], &Formula).err().unwrap().to_string();
    assert!(error.contains("backbone.taps"), "{error}");
    let error = refusal(BackboneSpec { weights: Some("w".into()), ..kind("scattering") });
    assert!(error.contains("takes no weights"), "{error}");
    let net = build_from("resnet18", &[16], &Formula).unwrap();
    let planar = Tensor::zeros((1, 3, 64, 64), DType::F32, &Device::Cpu).unwrap();
    let error = net.extract(&planar).unwrap_err().to_string();
    assert!(error.contains("(B, H, W, 3)") && error.contains("[1, 3, 64, 64]"), "{error}");
}

#[test]
fn another_crate_can_bring_a_backbone() {
    struct Grey(Vec<Level>);
    impl Backbone for Grey {
        fn name(&self) -> &str {
            "grey"
        }
        fn levels(&self) -> &[Level] {
            &self.0
        }
        fn normalization(&self) -> Normalization {
            Normalization::IMAGENET
        }
        fn extract(&self, images: &Tensor) -> Result<Vec<Tensor>, BackboneError> {
            Ok(vec![images.mean_keepdim(3)?])
        }
        fn map_size(&self, height: usize, width: usize) -> Vec<(usize, usize)> {
            vec![(height, width)]
        }
        fn fingerprint(&self) -> String {
            "grey".into()
        }
    }
    register("grey", |_| {
        let level = Level { name: "mean".into(), channels: 1, stride: 1 };
        Ok(Box::new(Grey(vec![level])))
    })
    .unwrap();
    let spec = BackboneSpec { kind: "grey".into(), ..Default::default() };
    assert_eq!(build(&spec).unwrap().levels()[0].channels, 1);
    assert!(known().iter().any(|line| line.starts_with("grey")));
    assert!(refusal(BackboneSpec { kind: "gray".into(), ..spec }).contains("grey"));
    for taken in ["grey", "resnet18"] {
        assert!(register(taken, |_| unreachable!()).unwrap_err().to_string().contains(taken));
    }
}
