//! Weights by formula, large assets, comparison.
#![allow(dead_code)]

use candle_core::{DType, Device, Tensor};
use hgad_backbones::{BackboneError, WeightSource};
use std::path::PathBuf;

/// The weights that the fixtures were made with: pseudo-random numbers of a tensor's name.
pub struct Formula;

impl WeightSource for Formula {
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, BackboneError> {
        let fan_in: usize = shape[1..].iter().product::<usize>().max(1);
        let (scale, shift) = if shape.len() == 4 {
            (0.8 * (6.0 / fan_in as f64).sqrt(), 0.0)
        } else if ["pos_embed", "cls_token"].contains(&name) {
            (0.8, 0.0)
        } else if shape.len() == 2 {
            ((3.0 / fan_in as f64).sqrt(), 0.0)
        } else if ["running_var", "weight", "gamma"].iter().any(|end| name.ends_with(end)) {
            (0.1, 1.0)
        } else {
            (0.1, 0.0)
        };
        Ok(numbers(name, shape, scale, shift))
    }
}

/// splitmix64 of the index and the name, mapped to [-1, 1), scaled and shifted.
pub fn numbers(name: &str, shape: &[usize], scale: f64, shift: f64) -> Tensor {
    let seed = name.bytes().map(u64::from).sum::<u64>() << 32;
    let number = |i: u64| {
        let x = i.wrapping_add(seed).wrapping_add(0x9E37_79B9_7F4A_7C15);
        let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let v = ((x ^ (x >> 31)) >> 40) as f64 / f64::from(1 << 23) - 1.0;
        (v * scale + shift) as f32
    };
    let values: Vec<f32> = (0..shape.iter().product::<usize>() as u64).map(number).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// The images (1, side, side, 3) that the fixtures were made with.
pub fn images(side: usize) -> Tensor {
    images_of(side, side)
}

/// The same of other shapes.
pub fn images_of(height: usize, width: usize) -> Tensor {
    channels_last(&(numbers("input", &[1, 3, height, width], 0.1, 0.0) * 10.0).unwrap())
}

pub fn channels_last(x: &Tensor) -> Tensor {
    x.permute((0, 2, 3, 1)).unwrap().contiguous().unwrap()
}

pub fn flat(t: &Tensor) -> Vec<f32> {
    t.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// Largest difference over largest value.
pub fn relative(found: &Tensor, expected: &Tensor) -> f32 {
    assert_eq!(found.dims(), expected.dims());
    let (a, b) = (flat(found), flat(expected));
    let scale = b.iter().fold(0f32, |m, v| m.max(v.abs()));
    // A NaN must not pass: f32::max would drop it.
    a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0f32, |m, d| if d <= m { m } else { d })
        / scale
}

/// A file too large for the repository; `None`, and a line saying so, where it is not there.
pub fn asset(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("HGAD_ASSETS")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"));
    let path = root.join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there (set HGAD_ASSETS)", path.display());
    None
}
