//! Weights files that do not fit.

mod common;

use candle_core::{DType, Device, Tensor};
use common::Formula;
use hgad_backbones::{BackboneSpec, WeightSource, WeightsFile, build};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Keeps what an architecture asks for.
#[derive(Default)]
struct Recorded(RefCell<HashMap<String, Tensor>>);

impl WeightSource for Recorded {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, hgad_backbones::BackboneError> {
        let t = Formula.tensor(name, shape)?;
        self.0.borrow_mut().insert(name.into(), t.clone());
        Ok(t)
    }
}

fn resnet18() -> HashMap<String, Tensor> {
    let recorded = Recorded::default();
    hgad_backbones::build_from("resnet18", &[8], &recorded).unwrap();
    recorded.0.into_inner()
}

fn write(path: &Path, tensors: &HashMap<String, Tensor>, metadata: &[(&str, &str)]) -> PathBuf {
    let metadata = metadata.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    safetensors::serialize_to_file(tensors, Some(metadata), path).unwrap();
    path.into()
}

fn spec(kind: &str, weights: &Path) -> BackboneSpec {
    BackboneSpec {
        kind: kind.into(),
        weights: Some(weights.into()),
        taps: vec![8],
        ..Default::default()
    }
}

fn refusal(kind: &str, weights: &Path) -> String {
    let error = build(&spec(kind, weights)).err().expect("must be refused").to_string();
    assert!(error.contains(weights.to_str().unwrap()), "the error names no file: {error}");
    error
}

#[test]
fn a_file_gives_what_the_formula_gives_and_may_be_half_precision() {
    let folder = tempfile::tempdir().unwrap();
    let whole = write(&folder.path().join("a.safetensors"), &resnet18(), &[]);
    let halves = resnet18().into_iter().map(|(k, v)| (k, v.to_dtype(DType::F16).unwrap()));
    let halves = write(&folder.path().join("b.safetensors"), &halves.collect(), &[]);
    let images = common::images(64);
    let expected = hgad_backbones::build_from("resnet18", &[8], &Formula).unwrap();
    let from_file = build(&spec("resnet18", &whole)).unwrap();
    assert_eq!(from_file.fingerprint(), expected.fingerprint());
    let expected = expected.extract(&images).unwrap().remove(0);
    let map = |b: Box<dyn hgad_backbones::Backbone>| b.extract(&images).unwrap().remove(0);
    assert_eq!(common::relative(&map(from_file), &expected), 0.0);
    let error = common::relative(&map(build(&spec("resnet18", &halves)).unwrap()), &expected);
    assert!(error > 0.0 && error < 1e-2, "{error}");
}

#[test]
fn another_architecture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    write(&path, &resnet18(), &[("architecture", "resnet18")]);
    let error = refusal("tf_efficientnet_b0", &path);
    assert!(error.contains("conv_stem.weight") && error.contains("[32, 3, 3, 3]"), "{error}");
    assert!(error.contains("another architecture") && error.contains("`resnet18`"), "{error}");
    let error = refusal("resnet50", &path);
    assert!(error.contains("layer1.0.conv1.weight"), "{error}");
    assert!(error.contains("[64, 64, 3, 3]") && error.contains("[64, 64, 1, 1]"), "{error}");
    assert!(error.contains("another architecture"), "{error}");
}

#[test]
fn real_weights_of_another_architecture() {
    let Some(path) = common::asset("weights/tf_efficientnet_lite0.safetensors") else { return };
    let error = refusal("tf_efficientnet_b0", &path);
    assert!(error.contains("blocks.0.0.se.conv_reduce.weight"), "{error}");
    assert!(error.contains("another architecture (the file says"), "{error}");
}

#[test]
fn a_missing_tensor() {
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = resnet18();
    tensors.remove("layer2.0.downsample.1.running_mean").unwrap();
    let path = write(&folder.path().join("w.safetensors"), &tensors, &[]);
    let error = refusal("resnet18", &path);
    assert!(error.contains("layer2.0.downsample.1.running_mean"), "{error}");
    assert!(error.contains("[128]"), "{error}");
}

#[test]
fn broken_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    assert!(refusal("resnet18", &path).contains("backbone.weights"));
    let whole = write(&path, &resnet18(), &[]);
    let bytes = std::fs::read(&whole).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    // Cut in the tensors, after the header, in the header, before it; and not of this format.
    for content in [&bytes[..bytes.len() - 4], &bytes[..header], &bytes[..50], &bytes[..3]] {
        std::fs::write(&path, content).unwrap();
        assert!(refusal("resnet18", &path).contains("not a whole safetensors file"));
    }
    std::fs::write(&path, vec![0xff; 4096]).unwrap();
    assert!(refusal("resnet18", &path).contains("not a whole safetensors file"));
    let mut strange = resnet18();
    let integers = Tensor::zeros(64, DType::I64, &Device::Cpu).unwrap();
    strange.insert("bn1.bias".into(), integers);
    write(&path, &strange, &[]);
    assert!(build(&spec("resnet18", &path)).is_ok(), "whole numbers are numbers");
}

#[test]
fn normalization_from_metadata() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    write(&path, &resnet18(), &[("mean", "0.1,0.2,0.3"), ("std", "128/255")]);
    let file = WeightsFile::open(&path, "resnet18").unwrap();
    let n = build(&spec("resnet18", &path)).unwrap().normalization();
    assert_eq!(file.normalization(), Some(n));
    assert_eq!((n.mean, n.std), ([0.1, 0.2, 0.3], [128.0 / 255.0; 3]));
    for bad in [[("mean", "x"), ("std", "1")], [("mean", "0"), ("std", "0")]] {
        write(&path, &resnet18(), &bad);
        assert!(refusal("resnet18", &path).contains("metadata"));
    }
    write(&path, &resnet18(), &[("mean", "0.5")]);
    assert!(refusal("resnet18", &path).contains("both or none"));
}
