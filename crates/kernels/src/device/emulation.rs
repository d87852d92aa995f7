//! The kernels' numbers, without a device: the CUDA and the Metal source are compiled for the
//! host by g++ (see `emulation.h`), the same plans are launched, and what comes out is compared
//! with the fused path of the CPU and its gradients.

use super::*;
use crate::{Padding, affine_coupling as coupling, coupling_log_det as log_det};
use candle_core::{Device, Tensor, Var};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// A program that runs one launch.
struct Host(PathBuf);

impl Machine for Host {
    type Buffer = Vec<f32>;

    fn launch(&self, launch: &Launch, inputs: &[&Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        let mut text = Vec::new();
        let word = |text: &mut Vec<u8>, n: usize| text.extend((n as u32).to_ne_bytes());
        word(&mut text, launch.kernel.len());
        text.extend(launch.kernel.bytes());
        word(&mut text, launch.blocks);
        word(&mut text, launch.threads);
        word(&mut text, inputs.len() + launch.outputs.len());
        // What a kernel leaves unwritten stays a NaN, and fails every comparison.
        let blanks = launch.outputs.iter().map(|n| vec![f32::NAN; *n]);
        for buffer in inputs.iter().map(|b| b.to_vec()).chain(blanks) {
            word(&mut text, buffer.len());
            text.extend(buffer.iter().flat_map(|x| x.to_ne_bytes()));
        }
        word(&mut text, launch.numbers.len());
        text.extend(launch.numbers.iter().flat_map(|n| n.bits().to_ne_bytes()));

        let mut child = Command::new(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the emulation starts");
        child.stdin.take().unwrap().write_all(&text).unwrap();
        let mut bytes = Vec::new();
        child.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
        assert!(child.wait().unwrap().success(), "{launch:?}");
        let mut all = bytes.chunks_exact(4).map(|b| f32::from_ne_bytes(b.try_into().unwrap()));
        for input in inputs {
            let untouched = all.by_ref().take(input.len()).eq(input.iter().copied());
            assert!(untouched, "{}: an input was written", launch.kernel);
        }
        let outputs: Vec<Vec<f32>> =
            launch.outputs.iter().map(|n| all.by_ref().take(*n).collect()).collect();
        assert!(all.next().is_none());
        Ok(outputs)
    }
}

/// The emulations of both languages; none where there is no g++.
fn hosts() -> &'static [(&'static str, Host)] {
    static HOSTS: OnceLock<Vec<(&'static str, Host)>> = OnceLock::new();
    HOSTS.get_or_init(|| {
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "g++".into());
        if Command::new(&compiler).arg("--version").output().is_err() {
            eprintln!("no {compiler}: the kernels' numbers are not checked");
            return Vec::new();
        }
        let headers = concat!(env!("CARGO_MANIFEST_DIR"), "/src/device/emulation");
        // A static is never dropped: each build takes the place of the one before.
        let dir = std::env::temp_dir();
        let main = include_str!("emulation/main.inc");
        let build = |name: &'static str, source: String| {
            let stem = dir.join(format!("hgad-kernels-{name}-{}", std::process::id()));
            let file = stem.with_extension("cpp");
            std::fs::write(&file, source).unwrap();
            let status = Command::new(&compiler)
                .args(["-std=c++20", "-O1", "-w", "-pthread", "-I", headers, "-I"])
                .arg(format!("{headers}/metal"))
                .arg("-o")
                .args([&stem, &file])
                .status()
                .unwrap();
            std::fs::remove_file(&file).unwrap();
            assert!(status.success(), "{compiler} does not compile the {name} kernels");
            let program = dir.join(format!("hgad-kernels-{name}"));
            std::fs::rename(&stem, &program).unwrap();
            (name, Host(program))
        };
        vec![
            build("cuda", format!("#include \"cuda.h\"\n{CUDA}\n{main}")),
            build("metal", format!("{METAL}\n{main}")),
        ]
    })
}

fn noise(n: usize, scale: f32, seed: u64) -> Vec<f32> {
    let mut x = (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        (x >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| next() * scale).collect()
}

fn variable(values: &[f32], shape: &[usize]) -> Var {
    Var::from_slice(values, shape, &Device::Cpu).unwrap()
}

fn values(t: &Tensor) -> Vec<f32> {
    t.flatten_all().unwrap().to_vec1().unwrap()
}

fn close(what: &str, got: &[f32], expected: &[f32]) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1e-6f32, |m, x| m.max(x.abs()));
    for (g, e) in got.iter().zip(expected) {
        assert!((g - e).abs() <= 2e-5 * scale, "{what}: {g}, the CPU has {e}");
    }
}

/// The gradients of the sum of `out` weighted by `weights`.
fn gradients(out: &Tensor, weights: &[f32], vars: &[&Var]) -> Vec<Vec<f32>> {
    let weights = Tensor::from_slice(weights, out.dims(), &Device::Cpu).unwrap();
    let grads = (out * weights).unwrap().sum_all().unwrap().backward().unwrap();
    vars.iter().map(|v| values(grads.get(v).unwrap())).collect()
}

#[test]
fn coupling_and_its_gradients() {
    for (name, host) in hosts() {
        // More rows than a tile, more columns than a block, an odd dimension.
        for (n, d, h) in [(3, 4, 2), (70, 13, 6), (5, 200, 100), (33, 1, 1)] {
            let (x, a) = (noise(n * d, 1.0, 1), noise(n * 2 * h, 12.0, 2));
            let (affine, grad) = (noise(2 * d, 1.5, 3), noise(n * d, 1.0, 4));
            let vars =
                [variable(&x, &[n, d]), variable(&a, &[n, 2 * h]), variable(&affine, &[2, d])];
            let out = coupling(&vars[0], &vars[1], &vars[2], 1.9).unwrap();
            let got = host.launch(&affine_coupling(n, d, h, 1.9), &[&x, &a, &affine]).unwrap();
            close(&format!("{name} coupling"), &got[0], &values(&out));
            let expected = gradients(&out, &grad, &[&vars[0], &vars[1], &vars[2]]);
            let inputs = [&x, &a, &affine, &grad];
            let got = affine_coupling_gradient(host, inputs, (n, d, h), 1.9).unwrap();
            for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
                close(&format!("{name} coupling's gradient {i}"), got, expected);
            }

            let out = log_det(&vars[1], 1.9).unwrap();
            let got = host.launch(&coupling_log_det(n, h, 1.9), &[&a]).unwrap();
            close(&format!("{name} log-determinant"), &got[0], &values(&out));
            let expected = gradients(&out, &grad[..n], &[&vars[1]]);
            let launch = coupling_log_det_gradient(n, h, 1.9);
            let got = host.launch(&launch, &[&a, &grad[..n].to_vec()]).unwrap();
            close(&format!("{name} log-determinant's gradient"), &got[0], &expected[0]);
        }
    }
}

#[test]
fn mixture_and_its_gradients() {
    for (name, host) in hosts() {
        for (g, p, k, d) in [(1, 1, 1, 1), (3, 7, 5, 13), (2, 9, 10, 150)] {
            let (z, centers) = (noise(g * p * d, 1.0, 1), noise(g * k * d, 1.0, 2));
            let (weights, grad) = (noise(g * k, 2.0, 3), noise(g * p, 1.0, 4));
            let vars = [
                variable(&z, &[g, p, d]),
                variable(&centers, &[g, k, d]),
                variable(&weights, &[g, k]),
            ];
            let out = crate::mixture_log_density(&vars[0], &vars[1], &vars[2]).unwrap();
            let launch = mixture_log_density(g, p, k, d);
            let got = host.launch(&launch, &[&z, &centers, &weights]).unwrap();
            close(&format!("{name} mixture"), &got[0], &values(&out));
            let expected = gradients(&out, &grad, &[&vars[0], &vars[1], &vars[2]]);
            let inputs = [&z, &centers, &weights, &got[0], &grad];
            let got = mixture_gradient(host, inputs, (g, p, k, d)).unwrap();
            for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
                close(&format!("{name} mixture's gradient {i}"), got, expected);
            }
        }
        // Distances that exp cannot hold.
        let (z, centers) = (noise(2 * 30, 1e4, 1), noise(3 * 30, 1e4, 2));
        let weights = vec![0.0; 3];
        let launch = mixture_log_density(1, 2, 3, 30);
        let got = host.launch(&launch, &[&z, &centers, &weights]).unwrap();
        let inputs = [&z, &centers, &weights, &got[0], &vec![1.0; 2]];
        let grads = mixture_gradient(host, inputs, (1, 2, 3, 30)).unwrap();
        assert!(got.iter().chain(&grads).flatten().all(|x| x.is_finite()));
    }
}

#[test]
fn depthwise_convolution_and_its_gradients() {
    for (name, host) in hosts() {
        let cases = [
            (3, 1, Padding::Each(1)),
            (3, 2, Padding::Same),
            (5, 2, Padding::Each(2)),
            (2, 3, Padding::Each(0)),
        ];
        for (kernel, stride, padding) in cases {
            let (b, height, width, c) = (2, 6, 7, 5);
            let x = variable(&noise(b * height * width * c, 1.0, 1), &[b, height, width, c]);
            let weight = variable(&noise(c * kernel * kernel, 1.0, 2), &[c, 1, kernel, kernel]);
            let bias = variable(&noise(c, 1.0, 3), &[c]);
            let out = crate::depthwise_conv2d(&x, &weight, &bias, stride, padding).unwrap();
            let packed = weight.permute((2, 3, 0, 1)).unwrap().contiguous().unwrap();
            let (input, packed) = (values(&x), values(&packed));
            let window =
                Window::new(x.dims4().unwrap(), (kernel, kernel), stride, padding).unwrap();

            let grad = noise(out.elem_count(), 1.0, 4);
            let expected = gradients(&out, &grad, &[&x, &weight, &bias]);
            let got = depthwise_gradient(host, [&input, &packed, &grad], &window).unwrap();
            close(&format!("{name} depthwise, gradient of x"), &got[0], &expected[0]);
            // Tap by tap in ours, channel by channel in PyTorch's order.
            let taps = kernel * kernel;
            let by_channel: Vec<f32> =
                (0..c * taps).map(|i| got[1][i % taps * c + i / taps]).collect();
            close(&format!("{name} depthwise, gradient of weight"), &by_channel, &expected[1]);
            close(
                &format!("{name} depthwise, gradient of bias"),
                &got[1][taps * c..],
                &expected[2],
            );

            let residual = noise(out.elem_count(), 1.0, 5);
            let of_residual = Tensor::from_slice(&residual, out.dims(), &Device::Cpu).unwrap();
            for activation in [
                Activation::Identity,
                Activation::Relu,
                Activation::Relu6,
                Activation::Silu,
                Activation::Gelu,
                Activation::Sigmoid,
            ] {
                let sum = ((&out + &of_residual).unwrap() * 4.0).unwrap();
                let expected = activation.plain(&sum).unwrap();
                let scaled = |v: &[f32]| v.iter().map(|x| x * 4.0).collect::<Vec<_>>();
                let inputs =
                    [&input, &scaled(&packed), &scaled(&values(&bias)), &scaled(&residual)];
                let got =
                    host.launch(&depthwise_conv2d(&window, true, activation), &inputs).unwrap();
                close(&format!("{name} depthwise {activation:?}"), &got[0], &values(&expected));
            }
            let launch = depthwise_conv2d(&window, false, Activation::Identity);
            let bias = values(&bias);
            let got = host.launch(&launch, &[&input, &packed, &bias, &bias]).unwrap();
            close(&format!("{name} depthwise"), &got[0], &values(&out));
        }
    }
}
