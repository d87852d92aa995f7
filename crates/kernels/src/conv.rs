//! Convolution of a frozen network: channels-last, bias and activation and residual in the epilogue.

use crate::activation::Activation;
use crate::depthwise::depthwise;
use crate::fill::par_fill;
use crate::im2col::{Window, gather_patches};
use crate::isa::{Isa, dispatch};
use crate::product::{Matrix, TILE, product};
#[cfg(any(feature = "cuda", feature = "metal"))]
use crate::storage::has_kernels;
use crate::storage::{is_fused, with_slice};
use candle_core::{Result, Tensor, bail};

/// How the border is filled with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// So many pixels at each side, as PyTorch.
    Each(usize),
    /// TensorFlow's `SAME`: the output has `ceil(input / stride)` pixels, an odd one goes last.
    Same,
}

impl Padding {
    /// Zeros before the first and after the last pixel of one dimension.
    pub(crate) fn around(self, input: usize, kernel: usize, stride: usize) -> (usize, usize) {
        match self {
            Self::Each(p) => (p, p),
            Self::Same => {
                let total =
                    ((input.div_ceil(stride).max(1) - 1) * stride + kernel).saturating_sub(input);
                (total / 2, total - total / 2)
            }
        }
    }
}

/// What a convolution is besides its weights.
#[derive(Clone, Copy, Debug)]
pub struct Conv2dConfig {
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Border.
    pub padding: Padding,
    /// 1, or the number of channels for a depthwise convolution.
    pub groups: usize,
    /// Applied to the sum of convolution, bias and residual.
    pub activation: Activation,
}

impl Default for Conv2dConfig {
    fn default() -> Self {
        Self { stride: 1, padding: Padding::Each(0), groups: 1, activation: Activation::Identity }
    }
}

/// A frozen convolution with bias on channels-last maps. It has no gradient.
#[derive(Clone, Debug)]
pub struct Conv2d {
    /// Dense: (KH * KW * C_in, C_out). Depthwise: (KH * KW, C).
    packed: Vec<f32>,
    bias: Vec<f32>,
    weight: Tensor,
    bias_tensor: Tensor,
    kernel: (usize, usize),
    c_in: usize,
    c_out: usize,
    config: Conv2dConfig,
}

impl Conv2d {
    /// `weight` (C_out, C_in / groups, KH, KW) as PyTorch keeps it, `bias` (C_out).
    ///
    /// # Errors
    /// Shapes that do not belong together; groups other than 1 or C_in = C_out.
    pub fn new(weight: &Tensor, bias: &Tensor, config: Conv2dConfig) -> Result<Self> {
        let (c_out, per_group, kh, kw) = weight.dims4()?;
        let c_in = per_group * config.groups;
        if bias.dims() != [c_out] {
            bail!("convolution: bias has shape {:?}, expected [{c_out}]", bias.dims())
        }
        if config.groups != 1 && (per_group != 1 || c_in != c_out) {
            bail!(
                "convolution: {} groups of {per_group} channels; only dense (1 group) and depthwise are supported",
                config.groups
            )
        }
        if config.stride == 0 {
            bail!("convolution: stride must be at least 1")
        }
        let order = if config.groups == 1 {
            weight.permute((2, 3, 1, 0))?
        } else {
            weight.permute((2, 3, 0, 1))?
        };
        let host =
            |t: &Tensor| t.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1::<f32>();
        Ok(Self {
            packed: host(&order)?,
            bias: host(bias)?,
            weight: weight.clone(),
            bias_tensor: bias.clone(),
            kernel: (kh, kw),
            c_in,
            c_out,
            config,
        })
    }

    /// Number of output channels.
    pub fn channels(&self) -> usize {
        self.c_out
    }

    /// `x` (B, H, W, C_in) to (B, H', W', C_out); `residual`, of the output's shape, is added
    /// before the activation.
    ///
    /// # Errors
    /// Another number of channels or dimensions; an input smaller than the window.
    pub fn forward(&self, x: &Tensor, residual: Option<&Tensor>) -> Result<Tensor> {
        let (b, _, _, c) = x.dims4()?;
        if c != self.c_in {
            bail!("convolution: expects {} channels, got {c}", self.c_in)
        }
        let window = Window::new(x, self.kernel, self.config.stride, self.config.padding)?;
        let shape = (b, window.out_height, window.out_width, self.c_out);
        if let Some(r) = residual
            && r.dims() != [shape.0, shape.1, shape.2, shape.3]
        {
            bail!("convolution: residual has shape {:?}, expected {shape:?}", r.dims())
        }
        #[cfg(any(feature = "cuda", feature = "metal"))]
        if self.config.groups != 1
            && has_kernels(&[x])
            && residual.is_none_or(|r| has_kernels(&[r]))
        {
            return self.on_device(x, residual, &window)?.reshape(shape);
        }
        if !is_fused(x) {
            return self.plain(x, residual, &window);
        }
        let run = |x: &[f32], residual: Option<&[f32]>| {
            if self.config.groups == 1 {
                self.dense(x, residual, &window)
            } else {
                let act = self.config.activation;
                depthwise(x, &self.packed, &self.bias, residual, act, &window)
            }
        };
        let out = with_slice("convolution", x, |x| match residual {
            Some(r) => with_slice("convolution", r, |r| Ok(run(x, Some(r)))),
            None => Ok(run(x, None)),
        })?;
        Tensor::from_vec(out, shape, x.device())
    }

    fn dense(&self, x: &[f32], residual: Option<&[f32]>, window: &Window) -> Vec<f32> {
        let pixels = window.batch * window.out_height * window.out_width;
        let (n, k) = (self.c_out, window.patch_len());
        let weight = Matrix::rows(&self.packed, k, n, n);
        par_fill(pixels * n, TILE * n, |tile, blank| {
            let first = tile * TILE;
            let rows = blank.len() / n;
            let out = blank.rows(n, |_| &self.bias);
            if window.is_pointwise() {
                let x = Matrix::rows(&x[first * k..(first + rows) * k], rows, k, k);
                product(out, n, x, weight, true);
            } else {
                let patches = gather_patches(x, window, first, rows);
                product(out, n, Matrix::rows(&patches, rows, k, k), weight, true);
            }
            if let Some(r) = residual {
                add(out, &r[first * n..(first + rows) * n]);
            }
            self.config.activation.apply(out);
            out
        })
    }

    /// A depthwise convolution by one kernel of the device.
    #[cfg(any(feature = "cuda", feature = "metal"))]
    fn on_device(&self, x: &Tensor, residual: Option<&Tensor>, w: &Window) -> Result<Tensor> {
        use crate::device::{Machine, OfTensors, depthwise_conv2d};
        let weight = Tensor::from_slice(&self.packed, self.packed.len(), x.device())?;
        let bias = Tensor::from_slice(&self.bias, self.bias.len(), x.device())?;
        let launch = depthwise_conv2d(w, residual.is_some(), self.config.activation);
        // Without a residual the kernel does not read that parameter.
        let inputs = [x, &weight, &bias, residual.unwrap_or(&bias)];
        match OfTensors.launch(&launch, &inputs)?.pop() {
            Some(out) => Ok(out),
            None => bail!("convolution: the device gave no output"),
        }
    }

    /// The same by candle's own convolution.
    fn plain(&self, x: &Tensor, residual: Option<&Tensor>, window: &Window) -> Result<Tensor> {
        let dev = x.device();
        let weight = self.weight.to_device(dev)?.to_dtype(x.dtype())?;
        let bias = self.bias_tensor.to_device(dev)?.to_dtype(x.dtype())?;
        let x = x.permute((0, 3, 1, 2))?;
        let (bottom, right) = window.after();
        let x = x.pad_with_zeros(2, window.top, bottom)?.pad_with_zeros(3, window.left, right)?;
        let y = x.contiguous()?.conv2d(&weight, 0, self.config.stride, 1, self.config.groups)?;
        let y = y.permute((0, 2, 3, 1))?.broadcast_add(&bias)?;
        let y = match residual {
            Some(r) => (y + r)?,
            None => y,
        };
        self.config.activation.plain(&y)?.contiguous()
    }
}

dispatch!(fn add(y: &mut [f32], x: &[f32]) = add_body);
#[inline(always)]
fn add_body<I: Isa>(y: &mut [f32], x: &[f32]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
}
