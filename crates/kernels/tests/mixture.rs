//! The densities and the reductions of logits, values and gradients, against the composition of
//! candle's operations, which is what they are in f64.

use candle_core::{DType, Device, Result, Tensor, Var};
use hgad_kernels::{
    cross_entropy, gaussian_logits, log_sum_exp, mixture_log_density, softmax_entropy,
};
use proptest::prelude::*;

fn noise(shape: &[usize], scale: f64, seed: u64) -> Tensor {
    let mut x = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            ((x >> 40) as f64 / (1u64 << 23) as f64 - 1.0) as f32 * scale as f32
        })
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Greatest difference over the greatest value.
fn relative(a: &Tensor, b: &Tensor) -> f64 {
    let host = |t: &Tensor| {
        t.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap()
    };
    assert_eq!(a.dims(), b.dims());
    let (a, b) = (host(a), host(b));
    assert!(a.iter().all(|v| v.is_finite()));
    let scale = b.iter().fold(1e-30f64, |m, v| m.max(v.abs()));
    a.iter().zip(&b).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs())) / scale
}

/// Runs `f` in f32 and in f64 with the gradient of a weighted sum of what it gives, and compares.
fn compare(inputs: &[Tensor], constants: usize, f: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let run = |dtype: DType| {
        let vars: Vec<Var> =
            inputs.iter().map(|t| Var::from_tensor(&t.to_dtype(dtype).unwrap()).unwrap()).collect();
        let args: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
        let out = f(&args).unwrap();
        let weights = noise(out.dims(), 1.0, 77).to_dtype(dtype).unwrap();
        let grads = (&out * &weights).unwrap().sum_all().unwrap().backward().unwrap();
        let of = |v: &Var| grads.get(v).expect("a gradient").clone();
        (out, vars[..vars.len() - constants].iter().map(of).collect::<Vec<_>>())
    };
    let ((fused, fused_grads), (plain, plain_grads)) = (run(DType::F32), run(DType::F64));
    let r = relative(&fused, &plain);
    assert!(r < 1e-5, "values differ by {r}");
    for (i, (a, b)) in fused_grads.iter().zip(&plain_grads).enumerate() {
        let r = relative(a, b);
        assert!(r < 1e-4, "gradient {i} differs by {r}");
    }
}

fn compare_all(g: usize, p: usize, k: usize, d: usize, scale: f64, seed: u64) {
    let z = noise(&[g, p, d], scale, seed);
    let centers = noise(&[g, k, d], scale, seed + 1);
    let weights = noise(&[g, k], 2.0, seed + 2);
    compare(&[z.clone(), centers.clone(), weights], 0, |t| {
        mixture_log_density(&t[0], &t[1], &t[2])
    });
    let flat = [z.reshape((g * p, d)).unwrap(), centers.get(0).unwrap()];
    compare(&flat, 0, |t| gaussian_logits(&t[0], &t[1]));
    compare(&[z, flat[1].clone()], 0, |t| gaussian_logits(&t[0], &t[1]));
    let logits = noise(&[g, p, k], 3.0 * scale, seed + 3);
    let bias = noise(&[k], 1.0, seed + 4);
    compare(&[logits.clone(), bias.clone()], 0, |t| log_sum_exp(&t[0], &t[1]));
    let target = noise(&[g, k], 1.0, seed + 5).abs().unwrap();
    compare(&[logits.clone(), bias, target], 1, |t| cross_entropy(&t[0], &t[1], &t[2]));
    if k > 1 {
        compare(&[logits], 0, |t| softmax_entropy(&t[0]));
    }
}

#[test]
fn odd_sizes_and_tiles() {
    // Rows below, at and above a tile of 128; widths that fill no vector; more than 16 tiles.
    for (i, (g, p, k, d)) in [
        (1, 1, 1, 1),
        (3, 7, 5, 13),
        (2, 128, 10, 200),
        (5, 129, 2, 33),
        (2, 1100, 40, 20),
        (1, 300, 17, 8),
    ]
    .into_iter()
    .enumerate()
    {
        compare_all(g, p, k, d, 1.0, 10 * i as u64);
    }
}

#[test]
fn one_center_is_a_gaussian() {
    let z = noise(&[2, 9, 11], 1.0, 1);
    let centers = noise(&[2, 1, 11], 1.0, 2);
    let zeros = Tensor::zeros((2, 1), DType::F32, &Device::Cpu).unwrap();
    let got = mixture_log_density(&z, &centers, &zeros).unwrap();
    let away = z.broadcast_sub(&centers).unwrap().sqr().unwrap().sum(2).unwrap();
    assert!(relative(&got, &(away * -0.5).unwrap()) < 1e-5);
    // The entropy of one class is 0, and so is its gradient.
    let x = Var::from_tensor(&noise(&[6, 1], 9.0, 3)).unwrap();
    let entropy = softmax_entropy(&x).unwrap();
    assert_eq!(entropy.to_vec1::<f32>().unwrap(), [0.0; 6]);
    let grads = entropy.sum_all().unwrap().backward().unwrap();
    assert!(
        grads
            .get(&x)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
            .iter()
            .all(|g| *g == 0.0)
    );
}

#[test]
fn distances_far_beyond_exp_stay_finite() {
    for scale in [1e2, 1e4, 1e8, 1e15] {
        let vars = [
            Var::from_tensor(&noise(&[2, 140, 30], scale, 1)).unwrap(),
            Var::from_tensor(&noise(&[2, 6, 30], scale, 2)).unwrap(),
            Var::from_tensor(&noise(&[2, 6], 1.0, 3)).unwrap(),
        ];
        let flat = vars[0].reshape((280, 30)).unwrap();
        let logits = gaussian_logits(&flat, &vars[1].get(0).unwrap()).unwrap();
        let bias = vars[2].get(0).unwrap();
        let target = noise(&[2, 6], 1.0, 4).abs().unwrap();
        let grouped = logits.reshape((2, 140, 6)).unwrap();
        let terms = [
            mixture_log_density(&vars[0], &vars[1], &vars[2]).unwrap(),
            log_sum_exp(&grouped, &bias).unwrap(),
            softmax_entropy(&grouped).unwrap(),
            cross_entropy(&grouped, &bias, &target).unwrap(),
        ];
        let mean = |t: &Tensor| t.mean_all().unwrap();
        let total = terms[1..].iter().fold(mean(&terms[0]), |sum, t| (sum + mean(t)).unwrap());
        let grads = total.backward().unwrap();
        for t in terms.iter().chain(vars.iter().map(|v| grads.get(v).unwrap())) {
            let values = t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert!(values.iter().all(|v| v.is_finite()), "scale {scale}");
        }
        assert!(
            terms[2].flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|h| *h >= 0.0)
        );
    }
}

#[test]
fn a_nan_is_not_hidden() {
    let mut z = vec![0.5f32; 3 * 4];
    z[5] = f32::NAN;
    let z = Tensor::from_vec(z, (1, 3, 4), &Device::Cpu).unwrap();
    let centers = noise(&[1, 2, 4], 1.0, 1);
    let weights = noise(&[1, 2], 1.0, 2);
    let got = mixture_log_density(&z, &centers, &weights).unwrap().to_vec2::<f32>().unwrap();
    assert!(got[0][0].is_finite() && got[0][1].is_nan() && got[0][2].is_finite());
}

#[test]
fn no_rows_make_no_numbers_and_gradients_of_zero() {
    let z = Var::zeros((2, 0, 4), DType::F32, &Device::Cpu).unwrap();
    let centers = Var::from_tensor(&noise(&[2, 3, 4], 1.0, 1)).unwrap();
    let weights = noise(&[2, 3], 1.0, 2);
    let out = mixture_log_density(&z, &centers, &weights).unwrap();
    assert_eq!(out.dims(), [2, 0]);
    let grads = out.sum_all().unwrap().backward().unwrap();
    let of_centers = grads.get(&centers).unwrap().flatten_all().unwrap();
    assert_eq!(of_centers.to_vec1::<f32>().unwrap(), [0.0; 24]);
}

#[test]
fn shapes_that_do_not_belong_together_are_named() {
    let t = |shape: &[usize]| noise(shape, 1.0, 0);
    for (result, named) in [
        (gaussian_logits(&t(&[4, 3]), &t(&[2, 5])), "[2, 5]"),
        (mixture_log_density(&t(&[2, 4, 3]), &t(&[3, 4, 3]), &t(&[3, 4])), "[3, 4, 3]"),
        (mixture_log_density(&t(&[2, 4, 3]), &t(&[2, 4, 3]), &t(&[2, 5])), "[2, 5]"),
        (log_sum_exp(&t(&[4, 3]), &t(&[4])), "[4]"),
        (cross_entropy(&t(&[2, 4, 3]), &t(&[3]), &t(&[4, 3])), "[4, 3]"),
    ] {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(named), "{message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn any_size(g in 1usize..4, p in 1usize..200, k in 1usize..30, d in 1usize..70, scale in 0.1f64..3.0, seed in 0u64..1000) {
        compare_all(g, p, k, d, scale, seed);
    }

    #[test]
    fn a_mixture_lies_between_its_best_center_and_their_sum(p in 1usize..40, k in 1usize..20, d in 1usize..30, seed in 0u64..1000) {
        let z = noise(&[1, p, d], 2.0, seed);
        let centers = noise(&[1, k, d], 2.0, seed + 1);
        let uniform = Tensor::zeros((1, k), DType::F32, &Device::Cpu).unwrap();
        let mixed = mixture_log_density(&z, &centers, &uniform).unwrap().to_vec2::<f32>().unwrap();
        let logits = gaussian_logits(&z.get(0).unwrap(), &centers.get(0).unwrap()).unwrap();
        for (mixed, row) in mixed[0].iter().zip(logits.to_vec2::<f32>().unwrap()) {
            let best = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            prop_assert!(*mixed >= best - 1e-4 && *mixed <= best + (k as f32).ln() + 1e-4);
        }
    }
}
