//! The kernels' numbers, without a device: the CUDA and the Metal source are compiled for the
//! host by g++ (see `emulation.h`), the same plans are launched, and what comes out is compared
//! with the fused path of the CPU and its gradients.

use super::stack::{Block, Chunk, Operand, Product, Stack};
use super::*;
use crate::{AdamConfig, BlockWeights, PositionCode, StackSize, StackWorkspace, adam_step};
use crate::{Padding, affine_coupling as coupling, coupling_log_det as log_det};
use candle_core::{Device, Tensor, Var};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// A program that runs one launch.
struct Host(PathBuf);

impl Host {
    /// What becomes of `updated`, and the outputs.
    fn run(
        &self,
        launch: &Launch,
        inputs: &[&Vec<f32>],
        updated: &[&Vec<f32>],
    ) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
        let mut text = Vec::new();
        let word = |text: &mut Vec<u8>, n: usize| text.extend((n as u32).to_ne_bytes());
        word(&mut text, launch.kernel.len());
        text.extend(launch.kernel.bytes());
        word(&mut text, launch.blocks);
        word(&mut text, launch.threads);
        word(&mut text, inputs.len() + updated.len() + launch.outputs.len());
        // What a kernel leaves unwritten stays a NaN, and fails every comparison.
        let blanks = launch.outputs.iter().map(|n| vec![f32::NAN; *n]);
        for buffer in inputs.iter().chain(updated).map(|b| b.to_vec()).chain(blanks) {
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
            let untouched = all
                .by_ref()
                .take(input.len())
                .map(f32::to_bits)
                .eq(input.iter().map(|x| x.to_bits()));
            assert!(untouched, "{}: an input was written", launch.kernel);
        }
        let mut take = |n: usize| all.by_ref().take(n).collect::<Vec<f32>>();
        let changed = updated.iter().map(|b| take(b.len())).collect();
        let outputs = launch.outputs.iter().map(|n| take(*n)).collect();
        assert!(all.next().is_none());
        (changed, outputs)
    }
}

impl Machine for Host {
    type Buffer = Vec<f32>;

    fn launch(&self, launch: &Launch, inputs: &[&Vec<f32>]) -> Result<Vec<Vec<f32>>> {
        Ok(self.run(launch, inputs, &[]).1)
    }
}

impl Trains for Host {
    fn update(
        &self,
        launch: &Launch,
        inputs: &[&Vec<f32>],
        updated: &mut [&mut Vec<f32>],
    ) -> Result<()> {
        let before: Vec<&Vec<f32>> = updated.iter().map(|b| &**b).collect();
        let (changed, _) = self.run(launch, inputs, &before);
        updated.iter_mut().zip(changed).for_each(|(buffer, new)| **buffer = new);
        Ok(())
    }

    fn blank(&self, _: &Vec<f32>, length: usize) -> Result<Vec<f32>> {
        Ok(vec![f32::NAN; length])
    }

    fn product(&self, p: &Product, a: &Vec<f32>, b: &Vec<f32>, out: &mut Vec<f32>) -> Result<()> {
        let (rows, columns, length) = p.size;
        assert!(p.a.end((rows, length)) <= a.len(), "{p:?}");
        assert!(p.b.end((length, columns)) <= b.len(), "{p:?}");
        assert!(p.out.end((rows, columns)) <= out.len(), "{p:?}");
        let at = |o: &Operand, i: usize, j: usize| {
            let (i, j) = if o.transposed { (j, i) } else { (i, j) };
            o.offset + i * o.stride + j
        };
        for i in 0..rows {
            for j in 0..columns {
                let term = |k| a[at(&p.a, i, k)] as f64 * b[at(&p.b, k, j)] as f64;
                let sum: f64 = (0..length).map(term).sum();
                let to = &mut out[at(&p.out, i, j)];
                *to = sum as f32 + if p.accumulate { *to } else { 0.0 };
            }
        }
        Ok(())
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
fn gaussian_logits_and_their_gradients() {
    for (name, host) in hosts() {
        for (n, k, d) in [(1, 1, 1), (70, 5, 13), (9, 15, 150)] {
            let (z, centers) = (noise(n * d, 1.0, 1), noise(k * d, 1.0, 2));
            let vars = [variable(&z, &[n, d]), variable(&centers, &[k, d])];
            let out = crate::gaussian_logits(&vars[0], &vars[1]).unwrap();
            let got = host.launch(&gaussian_logits(n, k, d), &[&z, &centers]).unwrap();
            close(&format!("{name} logits"), &got[0], &values(&out));
            let grad = noise(n * k, 1.0, 3);
            let expected = gradients(&out, &grad, &[&vars[0], &vars[1]]);
            let got = gaussian_logits_gradient(host, [&z, &centers, &grad], (n, k, d)).unwrap();
            for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
                close(&format!("{name} logits' gradient {i}"), got, expected);
            }
        }
    }
}

#[test]
fn reductions_of_logits_and_their_gradients() {
    for (name, host) in hosts() {
        for (g, p, k) in [(1, 1, 1), (3, 50, 15), (2, 9, 40)] {
            let n = g * p;
            let (x, bias) = (noise(n * k, 3.0, 1), noise(k, 1.0, 2));
            let target: Vec<f32> = noise(g * k, 1.0, 3).iter().map(|t| t.abs()).collect();
            let grad = noise(n, 1.0, 4);
            let vars = [variable(&x, &[g, p, k]), variable(&bias, &[k])];
            let check = |what: &str, out: &Tensor, got: &[f32], gradient: &[Vec<f32>]| {
                close(&format!("{name} {what}"), got, &values(out));
                let vars: Vec<&Var> = vars.iter().take(gradient.len()).collect();
                let expected = gradients(out, &grad, &vars);
                for (i, (got, expected)) in gradient.iter().zip(&expected).enumerate() {
                    close(&format!("{name} {what}'s gradient {i}"), got, expected);
                }
            };
            let out = crate::log_sum_exp(&vars[0], &vars[1]).unwrap();
            let got = host.launch(&log_sum_exp(n, k), &[&x, &bias]).unwrap();
            let inputs = [&x, &bias, &got[0], &grad];
            let gradient = log_sum_exp_gradient(host, inputs, (n, k)).unwrap();
            check("log-sum-exp", &out, &got[0], &gradient);

            let out = crate::softmax_entropy(&vars[0]).unwrap();
            let got = host.launch(&softmax_entropy(n, k), &[&x]).unwrap();
            let launch = softmax_entropy_gradient(n, k);
            let gradient = host.launch(&launch, &[&x, &got[0], &grad]).unwrap();
            check("entropy", &out, &got[0], &gradient);

            let of_target = Tensor::from_slice(&target, (g, k), &Device::Cpu).unwrap();
            let out = crate::cross_entropy(&vars[0], &vars[1], &of_target).unwrap();
            let got = host.launch(&cross_entropy(g, p, k), &[&x, &bias, &target]).unwrap();
            let inputs = [&x, &bias, &target, &grad];
            let gradient = cross_entropy_gradient(host, inputs, (g, p, k)).unwrap();
            check("cross-entropy", &out, &got[0], &gradient);
        }
    }
}

#[test]
fn logarithms_of_softmax_and_sigmoid_and_their_gradients() {
    for (name, host) in hosts() {
        for (n, k) in [(1, 1), (37, 15), (200, 3)] {
            // As large as what would overflow.
            let (x, grad) = (noise(n * k, 120.0, 1), noise(n * k, 1.0, 2));
            let var = variable(&x, &[n, k]);
            let check = |what: &str, out: &Tensor, got: &[f32], gradient: &[f32]| {
                close(&format!("{name} {what}"), got, &values(out));
                let expected = gradients(out, &grad, &[&var]);
                close(&format!("{name} {what}'s gradient"), gradient, &expected[0]);
            };
            let out = crate::log_softmax(&var).unwrap();
            let got = host.launch(&log_softmax(n, k), &[&x]).unwrap();
            let launch = log_softmax_gradient(n, k);
            let gradient = host.launch(&launch, &[&got[0], &grad]).unwrap();
            check("log-softmax", &out, &got[0], &gradient[0]);

            let out = crate::neg_log_sigmoid(&var).unwrap();
            let got = host.launch(&neg_log_sigmoid(n * k), &[&x]).unwrap();
            let launch = neg_log_sigmoid_gradient(n * k);
            let gradient = host.launch(&launch, &[&x, &grad]).unwrap();
            check("-log-sigmoid", &out, &got[0], &gradient[0]);
        }
    }
}

/// The machine that trains, where there is a compiler.
fn trains() -> Option<&'static Host> {
    hosts().iter().find(|(name, _)| *name == "cuda").map(|(_, host)| host)
}

#[test]
fn adam_and_its_guard() {
    let Some(host) = trains() else { return };
    let n = 300;
    let config = AdamConfig { rate: 1e-2, betas: (0.95, 0.99), epsilon: 1e-8, decay: 1e-3 };
    let mut got =
        [noise(n, 1.0, 1), noise(n, 0.1, 2), noise(n, 0.1, 3).iter().map(|v| v * v).collect()];
    let [p, mut m, mut v] = got.clone();
    let p = Tensor::from_vec(p, n, &Device::Cpu).unwrap();
    for step in 1..4 {
        let grad = noise(n, 1.0, 10 + step);
        adam_step(&p, &grad, (&mut m, &mut v), step, &config).unwrap();
        let launch = adam(n, &config.factors(step));
        for (loss, moves) in [(f32::NAN, false), (f32::INFINITY, false), (1.5, true)] {
            let before = got.clone();
            host.update(&launch, &[&grad, &vec![loss]], &mut got.each_mut()).unwrap();
            assert_eq!(before != got, moves, "a loss of {loss}");
        }
        for (what, got, expected) in
            [("p", &got[0], &values(&p)), ("m", &got[1], &m), ("v", &got[2], &v)]
        {
            close(&format!("Adam's {what} after {step}"), got, expected);
        }
    }
}

/// The device's way through a stack and back, against the CPU's.
#[test]
fn a_stack_and_its_gradients() {
    let Some(host) = trains() else { return };
    // A grid's code, one of no grid, and none; chunks of some positions, and all of them at once; enough
    // rows for sums of sums, an odd dimension.
    let grid =
        |p: usize, c: usize| if c == 0 { (p % 20) as f32 * 0.1 } else { (p / 20) as f32 - 1.0 };
    let single = |p: usize, c: usize| ((p * 2 + c) as f32).sin();
    type Code<'a> = Option<&'a dyn Fn(usize, usize) -> f32>;
    let cases: [(usize, usize, usize, Code); 4] = [
        (7, 600, 600, Some(&grid)),
        (6, 60, 25, Some(&grid)),
        (5, 6, 4, Some(&single)),
        (4, 6, 6, None),
    ];
    for (dim, positions, chunk, code) in cases {
        let (images, blocks) = (3, 2);
        let channels = if code.is_some() { 2 } else { 0 };
        let size = StackSize { dim, hidden: 9, condition: channels, clamp: 1.9 };
        let code = code.map(|f| {
            let all: Vec<f32> = (0..positions * 2).map(|i| f(i / 2, i % 2)).collect();
            PositionCode::new(&all, 2)
        });
        let [w1, b1, w2, b2, _] = size.lengths();
        let lengths = [w1, b1, w2, b2, dim, dim, dim * dim];
        let weights: Vec<[Vec<f32>; 7]> = (0..blocks)
            .map(|k| std::array::from_fn(|i| noise(lengths[i], 0.8, (k * 7 + i) as u64)))
            .collect();
        let gain = |raw: &f32| 0.2 * (*raw as f64 / 2.0).exp().ln_1p();
        let of_cpu: Vec<BlockWeights> = weights
            .iter()
            .map(|w| BlockWeights {
                w1: &w[0],
                b1: &w[1],
                w2: &w[2],
                b2: &w[3],
                affine: w[4].iter().map(|r| gain(r) as f32).chain(w[5].iter().copied()).collect(),
                rotation: &w[6],
            })
            .collect();
        let of_device = || {
            let block = |w: &[Vec<f32>; 7]| {
                let [w1, b1, w2, b2, scale, offset, rotation] = w.clone();
                Block { w1, b1, w2, b2, scale, offset, rotation }
            };
            weights.iter().map(block).collect()
        };
        let log_gain: f64 = weights.iter().flat_map(|w| &w[4]).map(|r| gain(r).ln()).sum();
        let maps: Vec<Vec<f32>> =
            (0..images).map(|b| noise(positions * dim, 1.0, 50 + b)).collect();
        let maps: Vec<&[f32]> = maps.iter().map(Vec::as_slice).collect();
        let there = |code: &PositionCode| stack::Code {
            codes: code.parts().flat_map(|p| p.0).collect(),
            parts: code.parts().map(|p| (p.1, p.2)).collect(),
        };
        let mut device = Stack::new(size, code.as_ref().map(there));
        let mut cpu = StackWorkspace::new(size, &of_cpu, code.clone());
        // Twice: a step begins with nothing of the one before.
        for _ in 0..2 {
            cpu.begin(&of_cpu);
            device.begin(host, of_device()).unwrap();
            let mut total = 0.0;
            for first in (0..positions).step_by(chunk) {
                let count = chunk.min(positions - first);
                let images = maps.len();
                let (z, mut log_det) = cpu.forward(&maps, (first, count));
                log_det.iter_mut().for_each(|l| *l += log_gain as f32);
                let x = maps.iter().flat_map(|m| m[first * dim..(first + count) * dim].to_vec());
                let got =
                    device.forward(host, x.collect(), Chunk { images, first, count }).unwrap();
                close("latents", &got.0, &z);
                close("log-determinants", &got.1, &log_det);
                let dz = noise(images * count * dim, 1.0, first as u64);
                let dlog_det = noise(images * count, 1.0, first as u64 + 1);
                cpu.backward(images, (first, count), &dz, &dlog_det);
                let sum = dlog_det.iter().sum::<f32>();
                total += sum as f64;
                device.backward(host, dz, &dlog_det, vec![sum]).unwrap();
            }
            let expected = cpu.gradients();
            let got = device.gradients(host).unwrap();
            assert_eq!(got.len(), blocks);
            for (k, got) in got.iter().enumerate() {
                let [w1, b1, w2, b2, affine] = expected.block(k);
                close("gradient of w1", &got.w1, w1);
                close("gradient of b1", &got.b1, b1);
                close("gradient of w2", &got.w2, w2);
                close("gradient of b2", &got.b2[2 * dim..], b2);
                close("gradient of the offset", &got.offset, &affine[dim..]);
                let raw = weights[k][4].iter().zip(affine);
                let scale: Vec<f32> = raw
                    .map(|(r, g)| {
                        let slope = 0.1 / (1.0 + (-*r as f64 / 2.0).exp());
                        ((*g as f64 + total / gain(r)) * slope) as f32
                    })
                    .collect();
                close("gradient of the gain", &got.scale, &scale);
            }
        }
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
