//! Every operation that has a kernel on a CUDA device: its numbers and gradients there against those
//! of the CPU. Without such a device it says so; the kernels' numbers are checked on the host too
//! (`src/device/emulation.rs`).

use candle_core::{Device, Result, Tensor, Var};
use hgad_kernels::{
    Padding, affine_coupling, coupling_log_det, cross_entropy, depthwise_conv2d, gaussian_logits,
    log_softmax, log_sum_exp, mixture_log_density, neg_log_sigmoid, softmax_entropy,
};

fn device() -> Option<Device> {
    let device = Device::new_cuda(0).ok();
    if device.is_none() {
        println!("no CUDA device here: skipped");
    }
    device
}

fn noise(shape: &[usize], scale: f32, seed: usize) -> Tensor {
    let n = shape.iter().product();
    let value = |i: usize| ((i * 37 + seed * 101 + 1) as f32 * 0.731).sin() * scale;
    Tensor::from_vec((0..n).map(value).collect(), shape, &Device::Cpu).unwrap()
}

fn numbers(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

/// The output of `run` on `device`, and the gradients of its sum, weighted, for every input.
fn on(
    device: &Device,
    inputs: &[Tensor],
    run: &dyn Fn(&[Tensor]) -> Result<Tensor>,
) -> Vec<Vec<f32>> {
    let there = |t: &Tensor| Var::from_tensor(&t.to_device(device).unwrap()).unwrap();
    let vars: Vec<Var> = inputs.iter().map(there).collect();
    let tensors: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let out = run(&tensors).unwrap();
    let weights = noise(out.dims(), 1.0, 9).to_device(device).unwrap();
    let grads = (&out * weights).unwrap().sum_all().unwrap().backward().unwrap();
    std::iter::once(numbers(&out))
        .chain(vars.iter().map(|v| numbers(grads.get(v).unwrap())))
        .collect()
}

fn same(what: &str, inputs: &[Tensor], run: &dyn Fn(&[Tensor]) -> Result<Tensor>) {
    let Some(device) = device() else { return };
    let (expected, got) = (on(&Device::Cpu, inputs, run), on(&device, inputs, run));
    for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
        assert_eq!(got.len(), expected.len());
        let scale = expected.iter().fold(1e-6f32, |m, x| m.max(x.abs()));
        let worst = got.iter().zip(expected).fold(0f32, |m, (a, b)| m.max((a - b).abs())) / scale;
        println!(
            "{what}, {}: {worst:.1e}",
            if i == 0 { "output".into() } else { format!("gradient {i}") }
        );
        // NaN is no number that is at most another.
        assert!(worst <= 1e-4, "{what}, {i}: {worst} of the largest");
    }
}

#[test]
fn coupling() {
    let (n, d, h) = (3000, 200, 100);
    let (x, a) = (noise(&[n, d], 1.0, 1), noise(&[n, 2 * h], 9.0, 2));
    let affine = noise(&[2, d], 1.5, 3);
    same("coupling", &[x, a.clone(), affine], &|t| affine_coupling(&t[0], &t[1], &t[2], 1.9));
    same("log-determinant", &[a], &|t| coupling_log_det(&t[0], 1.9));
}

#[test]
fn mixture() {
    let (g, p, k, d) = (8, 700, 10, 200);
    let z = noise(&[g, p, d], 1.0, 1);
    let (centers, weights) = (noise(&[g, k, d], 1.0, 2), noise(&[g, k], 1.0, 3));
    same("mixture", &[z.clone(), centers, weights], &|t| mixture_log_density(&t[0], &t[1], &t[2]));
    let centers = noise(&[15, d], 1.0, 4);
    same("logits", &[z, centers], &|t| gaussian_logits(&t[0], &t[1]));
}

#[test]
fn reductions() {
    let (x, bias) = (noise(&[8, 700, 15], 3.0, 1), noise(&[15], 1.0, 2));
    let target = noise(&[8, 15], 1.0, 3);
    let both = [x.clone(), bias];
    same("log-sum-exp", &both, &|t| log_sum_exp(&t[0], &t[1]));
    same("entropy", std::slice::from_ref(&x), &|t| softmax_entropy(&t[0]));
    same("log-softmax", std::slice::from_ref(&x), &|t| log_softmax(&t[0]));
    same("-log-sigmoid", &[x], &|t| neg_log_sigmoid(&t[0]));
    same("cross-entropy", &both, &|t| {
        cross_entropy(&t[0], &t[1], &target.to_device(t[0].device())?)
    });
}

#[test]
fn depthwise() {
    for (kernel, stride) in [(3, 1), (3, 2), (5, 2)] {
        let x = noise(&[2, 33, 29, 48], 1.0, 1);
        let weight = noise(&[48, 1, kernel, kernel], 1.0, 2);
        let bias = noise(&[48], 1.0, 3);
        same(&format!("depthwise {kernel}x{kernel} by {stride}"), &[x, weight, bias], &|t| {
            depthwise_conv2d(&t[0], &t[1], &t[2], stride, Padding::Same)
        });
    }
}
