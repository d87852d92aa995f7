//! Maps of blocks of the vision transformers against timm's, and what their settings do.

mod common;

use candle_core::{DType, Device, Tensor};
use common::{Formula, flat, images, images_of, relative};
use hgad_backbones::{
    Backbone, BackboneError, BackboneSpec, Level, Normalization, Patches, WeightSource, build,
    build_with, extract_pyramid, map_sizes,
};
use std::path::Path;

const SMALL: &str = "vit_small_patch14_dinov2";
const BASE: &str = "vit_base_patch14_dinov2";

fn spec(kind: &str, blocks: &[usize]) -> BackboneSpec {
    BackboneSpec { kind: kind.into(), blocks: blocks.to_vec(), ..Default::default() }
}

fn network(kind: &str, blocks: &[usize]) -> Box<dyn Backbone> {
    build_with(&spec(kind, blocks), &Formula).unwrap()
}

/// Every map of the fixture: sizes whose grids are coarser than the trained one, finer along one
/// side, and the trained one.
fn check(kind: &str, blocks: &[usize], maps: usize) {
    let file = format!("tests/fixtures/backbone_{kind}.safetensors");
    let expected = candle_core::safetensors::load(&file, &Device::Cpu).unwrap();
    let bytes = std::fs::read(Path::new(&file)).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let net = network(kind, blocks);
    let mut checked = 0;
    for (size, every) in header.metadata().as_ref().unwrap() {
        let side = |s: &str| s.parse::<usize>().unwrap();
        let (height, width) = size.split_once('x').map(|(h, w)| (side(h), side(w))).unwrap();
        let found = net.extract(&images_of(height, width)).unwrap();
        for (map, level) in found.iter().zip(net.levels()) {
            let Some(expected) = expected.get(&format!("{size}.{}", level.name)) else { continue };
            let (_, h, w, c) = map.dims4().unwrap();
            assert_eq!((h, w), (height / 14, width / 14));
            let rows: Vec<u32> = (0..(h * w) as u32).step_by(side(every)).collect();
            let rows = Tensor::new(rows, &Device::Cpu).unwrap();
            let map = map.reshape((h * w, c)).unwrap().index_select(&rows, 0).unwrap();
            let error = relative(&map, expected);
            eprintln!("{kind} {size} {}: {error:.1e}", level.name);
            assert!(error < 1e-4, "{kind} on {size}, {}: {error}", level.name);
            checked += 1;
        }
    }
    assert_eq!(checked, maps);
}

#[test]
fn small_against_timm() {
    check(SMALL, &[2, 7, 11], 6);
}

#[test]
fn base_against_timm() {
    check(BASE, &[5, 11], 2);
}

#[test]
fn blocks_are_levels_in_ascending_order() {
    let level = |b: usize| Level { name: format!("blocks.{b}"), channels: 384, stride: 14 };
    let net = network(SMALL, &[1, 0, 1]);
    assert_eq!(net.levels(), [level(0), level(1)]);
    assert_eq!(net.normalization(), Normalization::IMAGENET);
    assert_eq!(network(SMALL, &[]).levels(), [level(11)]);
    // A block's map does not depend on which others are given out.
    let both = net.extract(&images(56)).unwrap();
    let alone = network(SMALL, &[0]).extract(&images(56)).unwrap();
    assert_eq!(flat(&both[0]), flat(&alone[0]));
    assert!(relative(&both[0], &both[1]) > 1e-2);
}

#[test]
fn only_what_the_chosen_blocks_need_is_asked_for() {
    struct Shallow;
    impl WeightSource for Shallow {
        fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, BackboneError> {
            assert!(!name.starts_with("blocks.2."), "{name} is not needed for block 1");
            assert!(!name.starts_with("head"), "{name} is no feature's");
            Formula.tensor(name, shape)
        }
    }
    build_with(&spec(SMALL, &[1]), &Shallow).unwrap();
}

#[test]
fn sizes_that_are_no_multiples_are_resized_to_the_nearest() {
    let net = network(SMALL, &[0]);
    for ((height, width), (h, w)) in
        [((70, 70), (5, 5)), ((76, 77), (5, 6)), ((3, 20), (1, 1)), ((83, 132), (6, 9))]
    {
        assert_eq!(net.map_size(height, width), [(h, w)]);
        let images = images_of(height, width);
        let map = net.extract(&images).unwrap().remove(0);
        assert_eq!(map.dims(), [1, h, w, 384]);
        let resized = hgad_kernels::resize_bilinear(&images, h * 14, w * 14).unwrap();
        assert_eq!(flat(&map), flat(&net.extract(&resized).unwrap()[0]));
    }
    // 130, 65 and 32 pixels.
    let maps = extract_pyramid(net.as_ref(), &images(130), 3, &Patches::default()).unwrap();
    let sizes = map_sizes(net.as_ref(), 130, 3, &Patches::default()).unwrap();
    assert_eq!(sizes, [(9, 9, 384), (5, 5, 384), (2, 2, 384)]);
    for (map, (h, w, c)) in maps.iter().zip(sizes) {
        assert_eq!(map.dims(), [1, h, w, c]);
    }
}

#[test]
fn images_of_a_batch_do_not_mix_and_types_agree() {
    let net = network(SMALL, &[1]);
    let one = images(56);
    let other = (&one * -0.5).unwrap();
    let batch = Tensor::cat(&[&one, &other], 0).unwrap();
    let both = net.extract(&batch).unwrap().remove(0);
    let alone = net.extract(&other).unwrap().remove(0);
    assert!(relative(&both.narrow(0, 1, 1).unwrap(), &alone) < 1e-6);
    // The same through candle's own operations, which is what other types and devices take.
    let double = net.extract(&batch.to_dtype(DType::F64).unwrap()).unwrap().remove(0);
    assert!(relative(&both, &double) < 1e-5);
}

#[test]
fn the_fingerprint_tells_blocks_weights_and_architecture_apart() {
    struct Touched(&'static str);
    impl WeightSource for Touched {
        fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, BackboneError> {
            let t = Formula.tensor(name, shape)?;
            if name == self.0 { Ok((t + 1e-3)?) } else { Ok(t) }
        }
    }
    let key = |blocks: &[usize]| network(SMALL, blocks).fingerprint();
    assert_eq!(key(&[]), key(&[11]));
    assert_eq!(key(&[0, 1]), key(&[1, 0]));
    assert_ne!(key(&[0, 1]), key(&[1]));
    assert_ne!(key(&[1]), key(&[2]));
    assert_ne!(key(&[1]), network(BASE, &[1]).fingerprint());
    for name in ["norm.bias", "pos_embed", "cls_token", "blocks.1.ls2.gamma"] {
        let touched = build_with(&spec(SMALL, &[1]), &Touched(name)).unwrap();
        assert_ne!(key(&[1]), touched.fingerprint(), "{name}");
    }
}

#[test]
fn refusals_name_what_is_wrong() {
    let refusal = |spec: BackboneSpec| {
        let from_source = build_with(&spec, &Formula).err().expect("must be refused").to_string();
        // Before weights are looked for, which are nowhere.
        let weights = Some("nowhere.safetensors".into());
        let from_file = build(&BackboneSpec { weights, ..spec }).err().unwrap().to_string();
        (from_source, from_file)
    };
    let (error, from_file) = refusal(BackboneSpec { taps: vec![8], ..spec(SMALL, &[]) });
    assert!(error.contains("backbone.taps is [8]") && error.contains("backbone.blocks"), "{error}");
    assert_eq!(error, from_file);
    let (error, from_file) = refusal(spec("resnet18", &[1]));
    assert!(error.contains("backbone.blocks is [1]") && error.contains("resnet18"), "{error}");
    assert!(error.contains("backbone.taps"), "{error}");
    assert_eq!(error, from_file);
    let (error, from_file) = refusal(spec(BASE, &[3, 12]));
    assert!(error.contains(BASE) && error.contains("no block 12"), "{error}");
    assert!(error.contains("0 to 11") && error.contains("backbone.blocks"), "{error}");
    assert_eq!(error, from_file);
    let error = build(&spec("scattering", &[1])).err().unwrap().to_string();
    assert!(error.contains("backbone.blocks is [1]"), "{error}");
    for taps in [vec![14], vec![16]] {
        build_with(&BackboneSpec { taps, ..spec(SMALL, &[0]) }, &Formula).unwrap();
    }
}

#[test]
fn the_hub_is_named_where_weights_are_missing() {
    let offline = BackboneSpec { download: false, ..spec(BASE, &[]) };
    let Err(error) = build(&offline) else { return };
    let error = error.to_string();
    for part in [BASE, "timm/vit_base_patch14_dinov2.lvd142m", "backbone.weights=FILE"] {
        assert!(error.contains(part), "`{part}` is missing: {error}");
    }
}
