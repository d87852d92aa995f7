//! The fused convolutions, pooling and resizing against candle's own operations in f64.

use candle_core::{DType, Device, Tensor, Var};
use hgad_kernels::{
    Activation, Conv2d, Conv2dConfig, Padding, SqueezeExcite, depthwise_conv2d, max_pool,
    resize_bilinear, squeeze_excite,
};

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

fn worst(a: &Tensor, b: &Tensor) -> f64 {
    let a = a.to_dtype(DType::F64).unwrap();
    let b = b.to_dtype(DType::F64).unwrap();
    assert_eq!(a.dims(), b.dims());
    (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar().unwrap()
}

#[test]
fn every_shape_of_convolution() {
    let kinds = [
        // kernel, stride, padding, input, output, depthwise
        (1, 1, Padding::Each(0), 16, 40, false),
        (1, 2, Padding::Each(0), 16, 24, false),
        (3, 1, Padding::Each(1), 5, 33, false),
        (3, 2, Padding::Same, 3, 32, false),
        (7, 2, Padding::Each(3), 3, 64, false),
        (3, 1, Padding::Same, 40, 40, true),
        (3, 2, Padding::Same, 96, 96, true),
        (5, 1, Padding::Each(2), 33, 33, true),
        (5, 2, Padding::Same, 32, 32, true),
    ];
    let activations = [
        Activation::Identity,
        Activation::Relu,
        Activation::Relu6,
        Activation::Silu,
        Activation::Sigmoid,
    ];
    for (i, (kernel, stride, padding, input, output, depthwise)) in kinds.into_iter().enumerate() {
        let groups = if depthwise { input } else { 1 };
        let w = noise(&[output, input / groups, kernel, kernel], 1 + i as u64);
        let b = noise(&[output], 50 + i as u64);
        for (j, (h, width)) in [(9, 14), (16, 16), (7, 7)].into_iter().enumerate() {
            let activation = activations[(i + j) % activations.len()];
            let config = Conv2dConfig { stride, padding, groups, activation };
            let conv = Conv2d::new(&w, &b, config).unwrap();
            let x = noise(&[2, h, width, input], 100 + j as u64);
            let fused = conv.forward(&x, None).unwrap();
            let x64 = x.to_dtype(DType::F64).unwrap();
            let plain = conv.forward(&x64, None).unwrap();
            assert!(
                worst(&fused, &plain) < 2e-5,
                "{kernel} {stride} {depthwise}: {}",
                worst(&fused, &plain)
            );
            let residual = noise(fused.dims(), 7);
            let fused = conv.forward(&x, Some(&residual)).unwrap();
            let plain = conv.forward(&x64, Some(&residual.to_dtype(DType::F64).unwrap())).unwrap();
            assert!(worst(&fused, &plain) < 2e-5);
        }
    }
}

#[test]
fn pooling_squeezing_and_resizing() {
    let x = noise(&[2, 9, 12, 20], 3);
    let x64 = x.to_dtype(DType::F64).unwrap();
    assert!(worst(&max_pool(&x, 3, 2, 1).unwrap(), &max_pool(&x64, 3, 2, 1).unwrap()) < 1e-6);
    let block = |dtype: DType| {
        let t = |shape: &[usize], seed| noise(shape, seed).to_dtype(dtype).unwrap();
        SqueezeExcite {
            reduce: t(&[5, 20], 1),
            reduce_bias: t(&[5], 2),
            expand: t(&[20, 5], 3),
            expand_bias: t(&[20], 4),
            activation: Activation::Silu,
        }
    };
    let fused = squeeze_excite(&x, &block(DType::F32)).unwrap();
    assert!(worst(&fused, &squeeze_excite(&x64, &block(DType::F64)).unwrap()) < 1e-5);
    // Aligned corners: corners stay, the middle of an even split is the mean.
    let small = resize_bilinear(&x, 3, 4).unwrap();
    let at = |t: &Tensor, y: usize, x: usize| -> Vec<f32> {
        t.get(0).unwrap().get(y).unwrap().get(x).unwrap().to_vec1().unwrap()
    };
    assert_eq!(at(&small, 0, 0), at(&x, 0, 0));
    assert_eq!(at(&small, 1, 0), at(&x, 4, 0));
    assert!(at(&small, 2, 3).iter().zip(at(&x, 8, 11)).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn wrong_shapes_are_named() {
    let conv = |groups| {
        let config = Conv2dConfig { groups, ..Default::default() };
        Conv2d::new(&noise(&[6, 2, 3, 3], 1), &noise(&[6], 1), config)
    };
    assert!(conv(3).unwrap_err().to_string().contains("depthwise"));
    let message = conv(1).unwrap().forward(&noise(&[1, 5, 5, 3], 1), None).unwrap_err().to_string();
    assert!(message.contains("expects 2 channels, got 3"), "{message}");
}

#[test]
fn depthwise_gradients() {
    let cases = [
        (3, 1, Padding::Each(1), 40),
        (3, 2, Padding::Same, 5),
        (5, 2, Padding::Each(2), 33),
        (2, 3, Padding::Each(0), 1),
    ];
    for (i, (kernel, stride, padding, c)) in cases.into_iter().enumerate() {
        let seed = 10 * i as u64;
        let inputs = [
            noise(&[2, 9, 7, c], seed),
            noise(&[c, 1, kernel, kernel], seed + 1),
            noise(&[c], seed + 2),
        ];
        let run = |dtype: DType| {
            let vars =
                inputs.each_ref().map(|t| Var::from_tensor(&t.to_dtype(dtype).unwrap()).unwrap());
            let y = depthwise_conv2d(&vars[0], &vars[1], &vars[2], stride, padding).unwrap();
            let weights = noise(y.dims(), 99).to_dtype(dtype).unwrap();
            let grads = (&y * weights).unwrap().sum_all().unwrap().backward().unwrap();
            (y, vars.each_ref().map(|v| grads.get(v).unwrap().clone()))
        };
        let ((y, grads), (y64, grads64)) = (run(DType::F32), run(DType::F64));
        assert!(worst(&y, &y64) < 1e-5, "{kernel}x{kernel}, stride {stride}");
        for (a, b) in grads.iter().zip(&grads64) {
            assert!(worst(a, b) < 1e-4, "gradient of {:?}, stride {stride}", a.dims());
        }
    }
    let [x, w, b] = [noise(&[1, 4, 4, 3], 1), noise(&[4, 1, 3, 3], 2), noise(&[3], 3)];
    let wrong = depthwise_conv2d(&x, &w, &b, 1, Padding::Same).unwrap_err().to_string();
    assert!(wrong.contains("[4, 1, 3, 3]"), "{wrong}");
}
