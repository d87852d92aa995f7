//! Layer normalization, attention and GELU against candle's own operations in f64.

use candle_core::{DType, Device, Tensor};
use hgad_kernels::{Activation, Conv2d, Conv2dConfig, attention, layer_norm};

fn noise(shape: &[usize], seed: u64) -> Tensor {
    let mut x = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn double(t: &Tensor) -> Tensor {
    t.to_dtype(DType::F64).unwrap()
}

fn worst(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let differences = (double(a) - double(b)).unwrap().abs().unwrap().flatten_all().unwrap();
    // A NaN must not pass.
    differences.to_vec1::<f64>().unwrap().into_iter().fold(0.0, |m, d| if d <= m { m } else { d })
}

#[test]
fn layer_norm_of_rows_of_every_width() {
    for (i, shape) in
        [&[1, 1][..], &[3, 7], &[2, 5, 384], &[1, 201, 33], &[4, 768]].into_iter().enumerate()
    {
        let c = *shape.last().unwrap();
        // A mean far from zero, which one pass over squares would lose digits to.
        let x = (noise(shape, 1 + i as u64) + 30.0).unwrap();
        let (w, b) = (noise(&[c], 20), noise(&[c], 21));
        let fused = layer_norm(&x, &w, &b, 1e-6).unwrap();
        let exact = layer_norm(&double(&x), &double(&w), &double(&b), 1e-6).unwrap();
        assert!(worst(&fused, &exact) < 3e-5, "{shape:?}: {}", worst(&fused, &exact));
    }
    let (x, w) = (noise(&[2, 8], 1), noise(&[8], 2));
    for bad in [noise(&[7], 3), noise(&[1, 8], 3)] {
        let error = layer_norm(&x, &w, &bad, 1e-6).unwrap_err().to_string();
        assert!(error.contains("layer normalization") && error.contains("[2, 8]"), "{error}");
    }
}

#[test]
fn attention_of_sequences_of_every_length() {
    for (i, (b, n, heads, d)) in
        [(1, 1, 1, 4), (2, 5, 3, 8), (1, 47, 2, 64), (3, 97, 6, 64), (1, 145, 1, 33)]
            .into_iter()
            .enumerate()
    {
        // Scores of some units, so that the softmax is neither flat nor a choice of one.
        let qkv = (noise(&[b, n, 3 * heads * d], 7 + i as u64) * 2.5).unwrap();
        let fused = attention(&qkv, heads).unwrap();
        assert_eq!(fused.dims(), [b, n, heads * d]);
        let exact = attention(&double(&qkv), heads).unwrap();
        assert!(worst(&fused, &exact) < 1e-5, "{n} tokens: {}", worst(&fused, &exact));
    }
}

#[test]
fn attention_by_hand() {
    // Two tokens, two heads of one channel: rows of q1 q2, k1 k2, v1 v2.
    let rows = [[1.0f32, 0.0, 2.0, 5.0, 10.0, 1.0], [0.0, 1.0, 1.0, 5.0, 20.0, 3.0]];
    let qkv = Tensor::new(&[rows], &Device::Cpu).unwrap();
    let e = std::f32::consts::E;
    let first = (10.0 * e * e + 20.0 * e) / (e * e + e);
    let expected = Tensor::new(&[[[first, 2.0], [15.0, 2.0]]], &Device::Cpu).unwrap();
    assert!(worst(&attention(&qkv, 2).unwrap(), &expected) < 1e-5);
    for heads in [0, 4] {
        let error = attention(&qkv, heads).unwrap_err().to_string();
        assert!(error.contains("[1, 2, 6]"), "{error}");
    }
}

#[test]
fn gelu_is_the_exact_one() {
    let n = 40_001;
    let x: Vec<f32> = (0..n).map(|i| (i as f32 / (n - 1) as f32 - 0.5) * 40.0).collect();
    let x = Tensor::from_vec(x, (1, n, 1, 1), &Device::Cpu).unwrap();
    let one = Tensor::ones((1, 1, 1, 1), DType::F32, &Device::Cpu).unwrap();
    let zero = Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap();
    let config = Conv2dConfig { activation: Activation::Gelu, ..Default::default() };
    let of = |x: &Tensor| Conv2d::new(&one, &zero, config).unwrap().forward(x, None).unwrap();
    let exact = double(&x).gelu_erf().unwrap();
    let error = (double(&of(&x)) - exact).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let x = x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for (x, error) in x.into_iter().zip(error) {
        assert!(error.abs() <= 3e-7 * f64::from(x.abs().max(1.0)), "{error} at {x}");
    }
    let ends = [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e30];
    let ends = Tensor::from_slice(&ends, (1, 4, 1, 1), &Device::Cpu).unwrap();
    let ends = of(&ends).flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!((ends[0], ends[3]), (f32::INFINITY, 1e30));
    assert!(ends[1].abs() < 1e-30 && ends[2].is_nan(), "{ends:?}");
}
