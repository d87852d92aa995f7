//! The fused convolutions, pooling and resizing against candle's own operations in f64.

use candle_core::{DType, Device, Tensor, Var};
use hgad_kernels::{
    Activation, Conv2d, Conv2dConfig, InvertedResidual, Padding, SqueezeExcite, depthwise_conv2d,
    max_pool, resize_bilinear, squeeze_excite,
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

fn largest(a: &Tensor) -> f64 {
    worst(a, &a.zeros_like().unwrap())
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
        Activation::Gelu,
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

/// 3x3 at stride 1 goes through Winograd's transforms where channels are many: sizes that tiles of
/// four do and do not divide, vectors that are and are not whole.
#[test]
fn minimal_filtering() {
    for (i, (input, output)) in [(16, 16), (64, 64), (33, 20), (24, 130)].into_iter().enumerate() {
        let w = noise(&[output, input, 3, 3], 1 + i as u64);
        let b = noise(&[output], 50 + i as u64);
        for (h, width) in [(4, 4), (8, 12), (7, 5), (1, 3), (17, 9)] {
            for padding in [Padding::Each(1), Padding::Same, Padding::Each(0), Padding::Each(2)] {
                if padding == Padding::Each(0) && h < 3 {
                    continue;
                }
                let activation = [Activation::Relu, Activation::Silu][i % 2];
                let config = Conv2dConfig { stride: 1, padding, groups: 1, activation };
                let conv = Conv2d::new(&w, &b, config).unwrap();
                let x = noise(&[2, h, width, input], 9);
                let x64 = x.to_dtype(DType::F64).unwrap();
                let plain = conv.forward(&x64, None).unwrap();
                let residual = noise(plain.dims(), 7);
                // The transforms lose about a digit against direct sums.
                let bound = 2e-5 * largest(&plain);
                let fused = conv.forward(&x, None).unwrap();
                assert!(worst(&fused, &plain) < bound, "{} {bound}", worst(&fused, &plain));
                let plain = conv.forward(&x64, Some(&residual.to_dtype(DType::F64).unwrap()));
                let fused = conv.forward(&x, Some(&residual)).unwrap();
                assert!(worst(&fused, &plain.unwrap()) < bound);
            }
        }
    }
}

/// The block whose widened map is never in memory against its parts one after the other in f64.
#[test]
fn inverted_residual() {
    // kernel, stride, input, inner (0: no widening), output, squeeze, height, width, batch
    let kinds = [
        (3, 1, 16, 96, 16, false, 14, 14, 2),
        (5, 2, 24, 144, 40, true, 15, 9, 1),
        (3, 1, 12, 0, 20, true, 8, 11, 2),
        (5, 1, 40, 250, 40, true, 33, 40, 3),
        (3, 2, 3, 18, 7, false, 4, 5, 1),
        (7, 1, 8, 20, 8, false, 6, 6, 1),
    ];
    for (i, (kernel, stride, input, wide, output, squeeze, h, w, batch)) in
        kinds.into_iter().enumerate()
    {
        let seed = 100 * i as u64;
        let inner = if wide == 0 { input } else { wide };
        let conv = |o: usize, c: usize, k: usize, stride, groups, activation, seed| {
            let config = Conv2dConfig { stride, padding: Padding::Same, groups, activation };
            let weight = (noise(&[o, c / groups, k, k], seed) * 0.3).unwrap();
            Conv2d::new(&weight, &noise(&[o], seed + 1), config).unwrap()
        };
        let act = [Activation::Relu6, Activation::Silu][i % 2];
        let block = InvertedResidual {
            expand: (wide > 0).then(|| conv(inner, input, 1, 1, 1, act, seed + 1)),
            depthwise: conv(inner, inner, kernel, stride, inner, act, seed + 3),
            squeeze: squeeze.then(|| SqueezeExcite {
                reduce: noise(&[4, inner], seed + 5),
                reduce_bias: noise(&[4], seed + 6),
                expand: noise(&[inner, 4], seed + 7),
                expand_bias: noise(&[inner], seed + 8),
                activation: act,
            }),
            project: conv(output, inner, 1, 1, 1, Activation::Identity, seed + 9),
            residual: stride == 1 && input == output,
        };
        let x = noise(&[batch, h, w, input], seed + 11);
        let fused = block.forward(&x).unwrap();
        let in_f64 = |t: &Tensor| t.to_dtype(DType::F64).unwrap();
        let squeeze = block.squeeze.as_ref().map(|s| SqueezeExcite {
            reduce: in_f64(&s.reduce),
            reduce_bias: in_f64(&s.reduce_bias),
            expand: in_f64(&s.expand),
            expand_bias: in_f64(&s.expand_bias),
            activation: s.activation,
        });
        let plain = InvertedResidual { squeeze, ..block }.forward(&in_f64(&x)).unwrap();
        assert!(worst(&fused, &plain) < 3e-5, "{i}: {}", worst(&fused, &plain));
    }
}

/// TensorFlow's border, by hand: 5 pixels at stride 2 in windows of 3 want one zero at each side;
/// 4 pixels want a single one, and it goes last.
#[test]
fn same_padding_by_hand() {
    let ones = |shape: &[usize]| Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
    let config = Conv2dConfig { stride: 2, padding: Padding::Same, ..Default::default() };
    let row = |x: &[f32], groups| {
        let x = Tensor::from_slice(x, (1, 1, x.len(), 1), &Device::Cpu).unwrap();
        let bias = ones(&[1]).zeros_like().unwrap();
        let conv = Conv2d::new(&ones(&[1, 1, 1, 3]), &bias, Conv2dConfig { groups, ..config });
        let y = conv.unwrap().forward(&x, None).unwrap();
        y.flatten_all().unwrap().to_vec1::<f32>().unwrap()
    };
    assert_eq!(row(&[1.0, 2.0, 4.0, 8.0, 16.0], 1), [3.0, 14.0, 24.0]);
    assert_eq!(row(&[1.0, 2.0, 4.0, 8.0], 1), [7.0, 12.0]);
}

#[test]
fn windows_larger_than_the_map_and_maxima_below_zero() {
    let x = noise(&[1, 2, 2, 20], 5);
    let config = Conv2dConfig { padding: Padding::Each(3), ..Default::default() };
    for groups in [1, 20] {
        let config = Conv2dConfig { groups, ..config };
        let conv = Conv2d::new(&noise(&[20, 20 / groups, 7, 7], 1), &noise(&[20], 2), config);
        let conv = conv.unwrap();
        let plain = conv.forward(&x.to_dtype(DType::F64).unwrap(), None).unwrap();
        assert!(worst(&conv.forward(&x, None).unwrap(), &plain) < 2e-5);
    }
    let below = (noise(&[1, 5, 6, 17], 6) - 2.0).unwrap();
    let pooled = max_pool(&below, 3, 2, 1).unwrap();
    let plain = max_pool(&below.to_dtype(DType::F64).unwrap(), 3, 2, 1).unwrap();
    assert!(worst(&pooled, &plain) < 1e-6);
    let most = pooled.flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
    assert!(most < 0.0, "a border of zeros would show");
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
