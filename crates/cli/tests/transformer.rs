//! A vision transformer through the program: its settings, and features by blocks.

mod common;

use common::{Place, SMALL, fail, succeed};
use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;

/// Weights of the first two blocks of `vit_small_patch14_dinov2`, uniform of their fan-in.
fn write_weights(path: &Path) {
    let c = 384;
    let mut shapes = vec![
        ("cls_token".to_string(), vec![1, 1, c]),
        ("pos_embed".into(), vec![1, 1370, c]),
        ("patch_embed.proj.weight".into(), vec![c, 3, 14, 14]),
        ("patch_embed.proj.bias".into(), vec![c]),
        ("norm.weight".into(), vec![c]),
        ("norm.bias".into(), vec![c]),
    ];
    for block in 0..2 {
        for (name, shape) in [
            ("norm1.weight", vec![c]),
            ("norm1.bias", vec![c]),
            ("attn.qkv.weight", vec![3 * c, c]),
            ("attn.qkv.bias", vec![3 * c]),
            ("attn.proj.weight", vec![c, c]),
            ("attn.proj.bias", vec![c]),
            ("ls1.gamma", vec![c]),
            ("norm2.weight", vec![c]),
            ("norm2.bias", vec![c]),
            ("mlp.fc1.weight", vec![4 * c, c]),
            ("mlp.fc1.bias", vec![4 * c]),
            ("mlp.fc2.weight", vec![c, 4 * c]),
            ("mlp.fc2.bias", vec![c]),
            ("ls2.gamma", vec![c]),
        ] {
            shapes.push((format!("blocks.{block}.{name}"), shape));
        }
    }
    let mut x = 0x9E37_79B9_7F4A_7C15u64;
    let values: Vec<Vec<u8>> = shapes
        .iter()
        .map(|(_, shape)| {
            let limit = (3.0 / shape[1..].iter().product::<usize>() as f32).sqrt();
            let mut next = || {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                ((x >> 40) as f32 / (1u64 << 23) as f32 - 1.0) * limit
            };
            (0..shape.iter().product()).flat_map(|_: usize| next().to_le_bytes()).collect()
        })
        .collect();
    let tensors = shapes
        .into_iter()
        .zip(&values)
        .map(|((name, shape), values)| (name, TensorView::new(Dtype::F32, shape, values).unwrap()));
    safetensors::serialize_to_file(tensors, None, path).unwrap();
}

#[test]
fn features_of_chosen_blocks_train_a_flow_and_are_not_mixed_up() {
    let place = Place::new();
    write_weights(&place.path().join("vit.safetensors"));
    let run = |more: &[&'static str]| {
        let vit = [
            "data.img_size=60",
            "train.epochs=1",
            "maps.per_class=0",
            "backbone.kind=vit_small_patch14_dinov2",
            "backbone.weights=vit.safetensors",
            "backbone.blocks=[0]",
            "backbone.taps=[14]",
        ];
        place.experiment("demo", &[SMALL, &vit, more].concat(), &[])
    };
    assert!(succeed(run(&[])).contains("features of"));
    assert!(!succeed(run(&[])).contains("features of"), "they are in the cache");
    assert!(succeed(run(&["backbone.blocks=[1]"])).contains("features of"), "of another block");
    succeed(run(&["backbone.blocks=[0, 1]"]));
    for (settings, words) in [
        (vec!["backbone.blocks=[12]"], ["no block 12", "0 to 11"]),
        (vec!["backbone.taps=[8]"], ["backbone.taps is [8]", "backbone.blocks"]),
        (vec!["backbone.kind=resnet18"], ["backbone.blocks is [0]", "backbone.taps"]),
        (vec!["backbone.blocks=[2]"], ["blocks.2.norm1.weight", "vit.safetensors"]),
    ] {
        let (code, printed) = fail(run(&settings));
        assert_eq!(code, 2, "{printed}");
        assert!(words.iter().all(|w| printed.contains(w)), "{printed}");
    }
}
