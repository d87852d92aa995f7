//! Kernels for CUDA and Metal devices: what is launched, whatever launches it.
//!
//! The bodies in `device/shared` are written once; `device/cuda` and `device/metal` wrap them in
//! the two languages. They are compiled when a device first needs one. A [`Launch`] names a
//! kernel and its sizes, and a [`Machine`] runs it: a device, or in tests the host.

#[cfg(feature = "cuda")]
pub(crate) mod cuda;
#[cfg(test)]
mod emulation;
#[cfg(feature = "metal")]
pub(crate) mod metal;
#[cfg(any(test, feature = "cuda"))]
pub(crate) mod stack;

use crate::activation::Activation;
use crate::im2col::Window;
use candle_core::Result;
#[cfg(any(feature = "cuda", feature = "metal"))]
use candle_core::Tensor;

/// The forward passes of a custom op on devices, from its `plan` of the layouts: its parameters, each with its
/// layout, and what the kernel gets where that is more than those.
#[cfg(any(feature = "cuda", feature = "metal"))]
macro_rules! device_forward {
    ($($x:ident $layout:ident),+) => {
        crate::device::device_forward!($($x $layout),+ => $($x $layout),+);
    };
    ($($x:ident $layout:ident),+ => $($given:ident $of:ident),+) => {
        #[cfg(feature = "cuda")]
        fn cuda_fwd(
            &self,
            $($x: &candle_core::CudaStorage, $layout: &candle_core::Layout),+
        ) -> candle_core::Result<(candle_core::CudaStorage, candle_core::Shape)> {
            let (launch, shape) = self.plan($($layout),+)?;
            Ok((crate::device::cuda::forward(&launch, &[$(($given, $of)),+])?, shape))
        }

        #[cfg(feature = "metal")]
        fn metal_fwd(
            &self,
            $($x: &candle_core::MetalStorage, $layout: &candle_core::Layout),+
        ) -> candle_core::Result<(candle_core::MetalStorage, candle_core::Shape)> {
            let (launch, shape) = self.plan($($layout),+)?;
            Ok((crate::device::metal::forward(&launch, &[$(($given, $of)),+])?, shape))
        }
    };
}
#[cfg(any(feature = "cuda", feature = "metal"))]
pub(crate) use device_forward;

/// The CUDA source of all kernels.
#[cfg(any(test, feature = "cuda"))]
const CUDA: &str = concat!(
    include_str!("device/cuda/prelude.cuh"),
    include_str!("device/shared/coupling.h"),
    include_str!("device/shared/mixture.h"),
    include_str!("device/shared/softmax.h"),
    include_str!("device/shared/log_sigmoid.h"),
    include_str!("device/shared/depthwise.h"),
    include_str!("device/shared/stack.h"),
    include_str!("device/shared/adam.h"),
    include_str!("device/cuda/coupling.cu"),
    include_str!("device/cuda/mixture.cu"),
    include_str!("device/cuda/softmax.cu"),
    include_str!("device/cuda/log_sigmoid.cu"),
    include_str!("device/cuda/depthwise.cu"),
    include_str!("device/cuda/stack.cu"),
    include_str!("device/cuda/adam.cu"),
);

/// The same for Metal.
#[cfg(any(test, feature = "metal"))]
const METAL: &str = concat!(
    include_str!("device/metal/prelude.metal"),
    include_str!("device/shared/coupling.h"),
    include_str!("device/shared/mixture.h"),
    include_str!("device/shared/softmax.h"),
    include_str!("device/shared/log_sigmoid.h"),
    include_str!("device/shared/depthwise.h"),
    include_str!("device/metal/coupling.metal"),
    include_str!("device/metal/mixture.metal"),
    include_str!("device/metal/softmax.metal"),
    include_str!("device/metal/log_sigmoid.metal"),
    include_str!("device/metal/depthwise.metal"),
);

/// A kernel and its sizes. Its parameters are the inputs, the outputs and the numbers, in that
/// order; all buffers are `f32`.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    kernel: &'static str,
    /// Lengths of the outputs.
    outputs: Vec<usize>,
    numbers: Vec<Number>,
    blocks: usize,
    threads: usize,
}

/// A parameter that is no buffer.
#[derive(Clone, Copy, Debug)]
enum Number {
    Uint(usize),
    Float(f32),
}

impl Number {
    /// What the kernel reads.
    fn bits(self) -> u32 {
        match self {
            // Lengths are below 2^31: `has_kernels` sees to it.
            Self::Uint(n) => n as u32,
            Self::Float(x) => x.to_bits(),
        }
    }
}

/// Where kernels run.
pub(crate) trait Machine {
    /// Elements on the machine.
    type Buffer;

    /// The outputs of a kernel.
    fn launch(&self, launch: &Launch, inputs: &[&Self::Buffer]) -> Result<Vec<Self::Buffer>>;
}

/// A machine that multiplies matrices and changes buffers in place.
#[cfg(any(test, feature = "cuda"))]
pub(crate) trait Trains: Machine {
    /// Runs a kernel that changes `updated`, which stand where outputs do.
    fn update(
        &self,
        launch: &Launch,
        inputs: &[&Self::Buffer],
        updated: &mut [&mut Self::Buffer],
    ) -> Result<()>;

    /// A buffer of so many numbers, any, where `like` is.
    fn blank(&self, like: &Self::Buffer, length: usize) -> Result<Self::Buffer>;

    /// A product, into `out`.
    fn product(
        &self,
        product: &stack::Product,
        a: &Self::Buffer,
        b: &Self::Buffer,
        out: &mut Self::Buffer,
    ) -> Result<()>;
}

/// Launches on the device that the tensors are on.
#[cfg(any(feature = "cuda", feature = "metal"))]
pub(crate) struct OfTensors;

#[cfg(any(feature = "cuda", feature = "metal"))]
impl Machine for OfTensors {
    type Buffer = Tensor;

    fn launch(&self, launch: &Launch, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
        let inputs = inputs.iter().map(|t| t.contiguous()).collect::<Result<Vec<_>>>()?;
        match inputs[0].device() {
            #[cfg(feature = "cuda")]
            candle_core::Device::Cuda(_) => cuda::on_tensors(launch, &inputs),
            #[cfg(feature = "metal")]
            candle_core::Device::Metal(_) => metal::on_tensors(launch, &inputs),
            other => candle_core::bail!("{}: no kernel for {other:?}", launch.kernel),
        }
    }
}

/// The one output of a kernel, in that shape.
#[cfg(any(feature = "cuda", feature = "metal"))]
pub(crate) fn one(
    launch: &Launch,
    inputs: &[&Tensor],
    shape: &candle_core::Shape,
) -> Result<Tensor> {
    let [out] = exactly(OfTensors.launch(launch, inputs)?)?;
    out.reshape(shape)
}

/// Threads of a block, a multiple of a warp's 32.
const THREADS: usize = 128;
const WARP: usize = 32;

impl Launch {
    /// One thread for each of `items`.
    fn each(kernel: &'static str, items: usize) -> Self {
        let (outputs, numbers) = (Vec::new(), Vec::new());
        Self { kernel, outputs, numbers, blocks: items.div_ceil(THREADS), threads: THREADS }
    }

    /// One warp for each of `items`.
    fn warps(kernel: &'static str, items: usize) -> Self {
        Self::each(kernel, items * WARP)
    }

    /// So many blocks.
    fn blocks(kernel: &'static str, blocks: usize) -> Self {
        Self { blocks, ..Self::each(kernel, 0) }
    }

    fn outputs(mut self, lengths: &[usize]) -> Self {
        self.outputs.extend(lengths);
        self
    }

    fn uints(mut self, numbers: &[usize]) -> Self {
        self.numbers.extend(numbers.iter().map(|n| Number::Uint(*n)));
        self
    }

    fn float(mut self, number: f32) -> Self {
        self.numbers.push(Number::Float(number));
        self
    }
}

/// Inputs x (n, d), a (n, 2h), affine (2, d); output y (n, d).
pub(crate) fn affine_coupling(n: usize, d: usize, h: usize, clamp: f32) -> Launch {
    Launch::each("affine_coupling", n * d).outputs(&[n * d]).uints(&[n, d, h]).float(clamp)
}

/// Gradients of x, a and affine, from these and that of y.
pub(crate) fn affine_coupling_gradient<M: Machine>(
    machine: &M,
    inputs: [&M::Buffer; 4],
    (n, d, h): (usize, usize, usize),
    clamp: f32,
) -> Result<[M::Buffer; 3]> {
    // As COUPLING_ROWS in coupling.h.
    const ROWS: usize = 32;
    let tiles = n.div_ceil(ROWS);
    let launch = Launch::blocks("affine_coupling_gradient", tiles * d.div_ceil(THREADS))
        .outputs(&[n * d, n * 2 * h, tiles * 2 * d])
        .uints(&[n, d, h])
        .float(clamp);
    let [dx, da, parts] = exactly(machine.launch(&launch, &inputs)?)?;
    Ok([dx, da, sum_rows(machine, parts, tiles, 2 * d)?])
}

/// Input a (n, 2h); output (n).
pub(crate) fn coupling_log_det(n: usize, h: usize, clamp: f32) -> Launch {
    Launch::warps("coupling_log_det", n).outputs(&[n]).uints(&[n, h]).float(clamp)
}

/// Inputs a (n, 2h) and the gradient of the log-determinants (n); output the gradient of a.
pub(crate) fn coupling_log_det_gradient(n: usize, h: usize, clamp: f32) -> Launch {
    let length = n * 2 * h;
    Launch::each("coupling_log_det_gradient", length).outputs(&[length]).uints(&[n, h]).float(clamp)
}

/// Inputs z (g, p, d), centres (g, k, d), log-weights (g, k); output (g, p).
pub(crate) fn mixture_log_density(g: usize, p: usize, k: usize, d: usize) -> Launch {
    Launch::warps("mixture_log_density", g * p).outputs(&[g * p]).uints(&[g, p, k, d])
}

/// Gradients of z, centres and log-weights, from these, the density and its gradient.
pub(crate) fn mixture_gradient<M: Machine>(
    machine: &M,
    inputs: [&M::Buffer; 5],
    (g, p, k, d): (usize, usize, usize, usize),
) -> Result<[M::Buffer; 3]> {
    let rows = Launch::warps("mixture_rows_gradient", g * p)
        .outputs(&[g * p * d, g * p * k])
        .uints(&[g, p, k, d]);
    let [dz, shares] = exactly(machine.launch(&rows, &inputs)?)?;
    let [dcenters, dweights] =
        centers_gradient(machine, [inputs[0], inputs[1], &shares], (g, p, k, d))?;
    Ok([dz, dcenters, dweights])
}

/// Gradients of centres and log-weights from z, the centres and the gradients of the logits (g, p, k).
fn centers_gradient<M: Machine>(
    machine: &M,
    inputs: [&M::Buffer; 3],
    (g, p, k, d): (usize, usize, usize, usize),
) -> Result<[M::Buffer; 2]> {
    // At most so many parts, which are then added up; of no fewer rows than are worth a block.
    let tile = p.div_ceil(64).max(16);
    let (tiles, centers) = (p.div_ceil(tile), g * k);
    let launch = Launch::blocks("mixture_centers_gradient", tiles * centers)
        .outputs(&[tiles * centers * d, tiles * centers])
        .uints(&[g, p, k, d, tile]);
    let [dcenters, dweights] = exactly(machine.launch(&launch, &inputs)?)?;
    Ok([
        sum_rows(machine, dcenters, tiles, centers * d)?,
        sum_rows(machine, dweights, tiles, centers)?,
    ])
}

/// Inputs z (n, d) and centres (k, d); output `-½ |z - c_k|²` (n, k).
pub(crate) fn gaussian_logits(n: usize, k: usize, d: usize) -> Launch {
    Launch::warps("gaussian_logits", n).outputs(&[n * k]).uints(&[n, k, d])
}

/// Gradients of z and centres, from these and that of the logits.
pub(crate) fn gaussian_logits_gradient<M: Machine>(
    machine: &M,
    [z, centers, grad]: [&M::Buffer; 3],
    (n, k, d): (usize, usize, usize),
) -> Result<[M::Buffer; 2]> {
    let rows =
        Launch::warps("gaussian_logits_rows_gradient", n).outputs(&[n * d]).uints(&[n, k, d]);
    let [dz] = exactly(machine.launch(&rows, &[z, centers, grad])?)?;
    let [dcenters, _] = centers_gradient(machine, [z, centers, grad], (1, n, k, d))?;
    Ok([dz, dcenters])
}

/// Inputs x (n, k) and bias (k); output (n).
pub(crate) fn log_sum_exp(n: usize, k: usize) -> Launch {
    Launch::each("log_sum_exp", n).outputs(&[n]).uints(&[n, k])
}

/// Gradients of x and bias, from these, the output and its gradient.
pub(crate) fn log_sum_exp_gradient<M: Machine>(
    machine: &M,
    inputs: [&M::Buffer; 4],
    (n, k): (usize, usize),
) -> Result<[M::Buffer; 2]> {
    let launch = Launch::each("log_sum_exp_gradient", n).outputs(&[n * k]).uints(&[n, k]);
    with_sums(machine, &launch, &inputs, (n, k))
}

/// Input x (n, k); output (n).
pub(crate) fn softmax_entropy(n: usize, k: usize) -> Launch {
    Launch::each("softmax_entropy", n).outputs(&[n]).uints(&[n, k])
}

/// Inputs x, the output and its gradient; output the gradient of x.
pub(crate) fn softmax_entropy_gradient(n: usize, k: usize) -> Launch {
    Launch::each("softmax_entropy_gradient", n).outputs(&[n * k]).uints(&[n, k])
}

/// Inputs x (g, p, k), bias (k) and target (g, k); output (g, p).
pub(crate) fn cross_entropy(g: usize, p: usize, k: usize) -> Launch {
    Launch::each("cross_entropy", g * p).outputs(&[g * p]).uints(&[g * p, p, k])
}

/// Gradients of x and bias, from x, bias, target and the output's gradient.
pub(crate) fn cross_entropy_gradient<M: Machine>(
    machine: &M,
    inputs: [&M::Buffer; 4],
    (g, p, k): (usize, usize, usize),
) -> Result<[M::Buffer; 2]> {
    let n = g * p;
    let launch = Launch::each("cross_entropy_gradient", n).outputs(&[n * k]).uints(&[n, p, k]);
    with_sums(machine, &launch, &inputs, (n, k))
}

/// Input x (n, k); output (n, k).
pub(crate) fn log_softmax(n: usize, k: usize) -> Launch {
    Launch::each("log_softmax", n).outputs(&[n * k]).uints(&[n, k])
}

/// Inputs the output and its gradient; output the gradient of x.
pub(crate) fn log_softmax_gradient(n: usize, k: usize) -> Launch {
    Launch::each("log_softmax_gradient", n).outputs(&[n * k]).uints(&[n, k])
}

/// Input x (n); output (n).
pub(crate) fn neg_log_sigmoid(n: usize) -> Launch {
    Launch::each("neg_log_sigmoid", n).outputs(&[n]).uints(&[n])
}

/// Inputs x and the output's gradient; output the gradient of x.
pub(crate) fn neg_log_sigmoid_gradient(n: usize) -> Launch {
    Launch::each("neg_log_sigmoid_gradient", n).outputs(&[n]).uints(&[n])
}

/// The one output (n, k) of a kernel, and the sums of its columns.
fn with_sums<M: Machine>(
    machine: &M,
    launch: &Launch,
    inputs: &[&M::Buffer],
    (n, k): (usize, usize),
) -> Result<[M::Buffer; 2]> {
    let [dx] = exactly(machine.launch(launch, inputs)?)?;
    let (sums, tiles) = sum_tiles(machine, &dx, n, k)?;
    Ok([dx, sum_rows(machine, sums, tiles, k)?])
}

/// Inputs x (b, h, w, c), weight (kh * kw, c), bias (c) and residual, of the output's shape, or
/// anything where `add` is false; output (b, h', w', c).
pub(crate) fn depthwise_conv2d(w: &Window, add: bool, activation: Activation) -> Launch {
    let total = w.batch * w.out_height * w.out_width * w.channels;
    // As `activate` in depthwise.h.
    let activation = match activation {
        Activation::Identity => 0,
        Activation::Relu => 1,
        Activation::Relu6 => 2,
        Activation::Silu => 3,
        Activation::Sigmoid => 4,
        Activation::Gelu => 5,
    };
    Launch::each("depthwise_conv2d", total)
        .outputs(&[total])
        .uints(&[total])
        .uints(&sizes(w))
        .uints(&[add.into(), activation])
}

/// Gradients of x, weight and bias (that of the two one behind the other, (kh * kw + 1, c)), from
/// x, weight and the output's gradient; without residual and activation.
pub(crate) fn depthwise_gradient<M: Machine>(
    machine: &M,
    [x, weight, grad]: [&M::Buffer; 3],
    w: &Window,
) -> Result<[M::Buffer; 2]> {
    let total = w.batch * w.height * w.width * w.channels;
    let input = Launch::each("depthwise_input_gradient", total)
        .outputs(&[total])
        .uints(&[total])
        .uints(&sizes(w));
    let [dx] = exactly(machine.launch(&input, &[grad, weight])?)?;
    let width = (w.kernel.0 * w.kernel.1 + 1) * w.channels;
    let weight = Launch::each("depthwise_weight_gradient", w.out_height * width)
        .outputs(&[w.out_height * width])
        .uints(&[w.batch])
        .uints(&sizes(w));
    let [parts] = exactly(machine.launch(&weight, &[x, grad])?)?;
    Ok([dx, sum_rows(machine, parts, w.out_height, width)?])
}

/// Inputs gradient and loss (1); changes parameter and moments, each of `n`, where the loss is finite.
#[cfg(any(test, feature = "cuda"))]
pub(crate) fn adam(n: usize, f: &crate::adam::Factors) -> Launch {
    Launch::each("adam", n)
        .uints(&[n])
        .float(f.beta1)
        .float(f.beta2)
        .float(f.step_size)
        .float(f.root_correction)
        .float(f.epsilon)
        .float(f.decay)
}

fn sizes(w: &Window) -> [usize; 10] {
    let (kh, kw) = w.kernel;
    let input = [w.height, w.width, w.channels];
    let rest = [kh, kw, w.stride, w.top, w.left, w.out_height, w.out_width];
    let mut all = [0; 10];
    all[..3].copy_from_slice(&input);
    all[3..].copy_from_slice(&rest);
    all
}

/// Rows that one thread adds up.
const TILE: usize = 32;

/// Sums of the columns of x (rows, cols), by tiles, then the tiles' sums.
fn sum_rows<M: Machine>(machine: &M, x: M::Buffer, rows: usize, cols: usize) -> Result<M::Buffer> {
    Ok(fewer_rows(machine, x, (rows, cols), 1)?.0)
}

/// At most `most` rows with the sums of those of x (rows, cols), and how many.
fn fewer_rows<M: Machine>(
    machine: &M,
    mut x: M::Buffer,
    (mut rows, cols): (usize, usize),
    most: usize,
) -> Result<(M::Buffer, usize)> {
    while rows > most {
        (x, rows) = sum_tiles(machine, &x, rows, cols)?;
    }
    Ok((x, rows))
}

fn sum_tiles<M: Machine>(
    machine: &M,
    x: &M::Buffer,
    rows: usize,
    cols: usize,
) -> Result<(M::Buffer, usize)> {
    let tiles = rows.div_ceil(TILE);
    let launch =
        Launch::each("sum_rows", tiles * cols).outputs(&[tiles * cols]).uints(&[rows, cols, TILE]);
    let [sums] = exactly(machine.launch(&launch, &[x])?)?;
    Ok((sums, tiles))
}

fn exactly<T, const N: usize>(outputs: Vec<T>) -> Result<[T; N]> {
    let found = outputs.len();
    outputs
        .try_into()
        .map_err(|_| candle_core::Error::Msg(format!("a kernel gave {found} outputs, not {N}")))
}
