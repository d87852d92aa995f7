//! Convolution of a frozen network: channels-last, bias and activation and residual in the epilogue.

use crate::activation::Activation;
use crate::depthwise::{Depthwise, DepthwiseWeights, Widening};
use crate::fill::par_fill_parts;
use crate::im2col::{Window, with_patches};
use crate::matrix::Matrix;
use crate::packed::Packed;
use crate::product::{AddedRows, Epilogue, TILE};
#[cfg(any(feature = "cuda", feature = "metal"))]
use crate::storage::has_kernels;
use crate::storage::{is_fused, with_slice};
use crate::winograd::Winograd;
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
    weights: Weights,
    bias: Vec<f32>,
    weight: Tensor,
    bias_tensor: Tensor,
    kernel: (usize, usize),
    c_in: usize,
    c_out: usize,
    config: Conv2dConfig,
}

/// Weights as the fused path reads them.
#[derive(Clone, Debug)]
enum Weights {
    /// (KH * KW * C_in, C_out)
    Dense(Packed),
    Winograd(Winograd),
    Depthwise(DepthwiseWeights),
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
        let host =
            |t: &Tensor| t.to_dtype(candle_core::DType::F32)?.flatten_all()?.to_vec1::<f32>();
        let host_bias = host(bias)?;
        let weights = if config.groups != 1 {
            let taps = host(&weight.permute((2, 3, 0, 1))?)?;
            Weights::Depthwise(DepthwiseWeights::new(&taps, &host_bias))
        } else {
            let taps = host(&weight.permute((2, 3, 1, 0))?)?;
            if (kh, kw) == (3, 3) && config.stride == 1 && Winograd::pays(c_in, c_out) {
                Weights::Winograd(Winograd::new(&taps, c_in, c_out))
            } else {
                let k = kh * kw * c_in;
                Weights::Dense(Packed::new(Matrix::rows(&taps, k, c_out, c_out)))
            }
        };
        Ok(Self {
            weights,
            bias: host_bias,
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
        let window = self.window(x.dims4()?)?;
        let shape = (window.batch, window.out_height, window.out_width, self.c_out);
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
        let out = with_slice("convolution", x, |x| match residual {
            Some(r) => with_slice("convolution", r, |r| Ok(self.fused(x, Some(r), &window))),
            None => Ok(self.fused(x, None, &window)),
        })?;
        Tensor::from_vec(out, shape, x.device())
    }

    /// Windows over an input (B, H, W, C).
    fn window(&self, dims: (usize, usize, usize, usize)) -> Result<Window> {
        if dims.3 != self.c_in {
            bail!("convolution: expects {} channels, got {}", self.c_in, dims.3)
        }
        Window::new(dims, self.kernel, self.config.stride, self.config.padding)
    }

    fn fused(&self, x: &[f32], residual: Option<&[f32]>, window: &Window) -> Vec<f32> {
        let activation = self.config.activation;
        match &self.weights {
            Weights::Dense(weights) => self.dense(x, residual, window, |_| weights),
            Weights::Winograd(w) => w.run(x, &self.bias, residual, activation, window),
            Weights::Depthwise(weights) => {
                let (widening, window) = (None, *window);
                Depthwise { x, widening, weights, residual, activation, window }.run(false).0
            }
        }
    }

    /// `weights` gives those for an image.
    fn dense<'w>(
        &self,
        x: &[f32],
        residual: Option<&[f32]>,
        window: &Window,
        weights: impl Fn(usize) -> &'w Packed + Sync,
    ) -> Vec<f32> {
        let (k, n) = (window.patch_len(), self.c_out);
        let pixels = window.out_height * window.out_width;
        // Tiles end with an image where images have weights of their own.
        let tiles = pixels.div_ceil(TILE).max(1);
        let width = pixels.div_ceil(tiles).max(1);
        let lengths = (0..window.batch)
            .flat_map(|_| (0..tiles).map(|t| width.min(pixels.saturating_sub(t * width)) * n));
        par_fill_parts(window.batch * pixels * n, lengths, |task, blank| {
            let (image, tile) = (task / tiles, task % tiles);
            let first = image * pixels + tile * width;
            let rows = blank.len() / n;
            let then = Epilogue {
                bias: Some(&self.bias),
                rows: residual.map(|r| AddedRows {
                    data: &r[first * n..(first + rows) * n],
                    stride: n,
                    repeat: 1,
                }),
                accumulate: false,
                activation: self.config.activation,
                rectified: None,
            };
            let weights = weights(image);
            if window.is_pointwise() {
                let x = Matrix::rows(&x[first * k..(first + rows) * k], rows, k, k);
                blank.product(x, weights, &then)
            } else {
                with_patches(x, window, first, rows, |patches| {
                    blank.product(Matrix::rows(patches, rows, k, k), weights, &then)
                })
            }
        })
    }

    /// A depthwise convolution of `x` after `expand`, which must be pointwise, without its map in
    /// memory: the output, and its sum over positions (B, C) if `with_sums`.
    pub(crate) fn forward_behind(
        &self,
        expand: Option<&Conv2d>,
        x: &Tensor,
        with_sums: bool,
    ) -> Result<(Tensor, Vec<f32>)> {
        let (b, h, w, c) = x.dims4()?;
        let Weights::Depthwise(weights) = &self.weights else {
            bail!("convolution: expects a depthwise one behind another")
        };
        let widening = match expand {
            None => None,
            Some(conv) => match &conv.weights {
                Weights::Dense(packed) if conv.window((b, h, w, c))?.is_pointwise() => {
                    let activation = conv.config.activation;
                    Some(Widening { weights: packed, bias: &conv.bias, activation })
                }
                _ => bail!("convolution: expects a pointwise one before a depthwise one"),
            },
        };
        let inner = expand.map_or(c, |conv| conv.c_out);
        let window = self.window((b, h, w, inner))?;
        let shape = (b, window.out_height, window.out_width, inner);
        let activation = self.config.activation;
        let (out, sums) = with_slice("convolution", x, |x| {
            let residual = None;
            let work = Depthwise { x, widening, weights, residual, activation, window };
            Ok(work.run(with_sums))
        })?;
        Ok((Tensor::from_vec(out, shape, x.device())?, sums))
    }

    /// A pointwise convolution whose input's channels are multiplied by `gates` (B, C_in) first:
    /// the weights are, an image at a time, which are fewer numbers than the map's.
    pub(crate) fn forward_gated(
        &self,
        x: &Tensor,
        gates: &[f32],
        residual: Option<&Tensor>,
    ) -> Result<Tensor> {
        let window = self.window(x.dims4()?)?;
        let Weights::Dense(packed) = &self.weights else {
            bail!("convolution: expects a pointwise one after a gate")
        };
        let shape = (window.batch, window.out_height, window.out_width, self.c_out);
        if !window.is_pointwise() || gates.len() != window.batch * self.c_in {
            bail!("convolution: {} gates for {} images", gates.len(), window.batch)
        }
        if let Some(r) = residual
            && r.dims() != [shape.0, shape.1, shape.2, shape.3]
        {
            bail!("convolution: residual has shape {:?}, expected {shape:?}", r.dims())
        }
        let scaled: Vec<Packed> =
            gates.chunks_exact(self.c_in.max(1)).map(|g| packed.scaled(g)).collect();
        let run = |x: &[f32], r: Option<&[f32]>| Ok(self.dense(x, r, &window, |i| &scaled[i]));
        let out = with_slice("convolution", x, |x| match residual {
            Some(r) => with_slice("convolution", r, |r| run(x, Some(r))),
            None => run(x, None),
        })?;
        Tensor::from_vec(out, shape, x.device())
    }

    /// A depthwise convolution by one kernel of the device.
    #[cfg(any(feature = "cuda", feature = "metal"))]
    fn on_device(&self, x: &Tensor, residual: Option<&Tensor>, w: &Window) -> Result<Tensor> {
        use crate::device::{Machine, OfTensors, depthwise_conv2d};
        let weight = self.weight.permute((2, 3, 0, 1))?.flatten_all()?.to_device(x.device())?;
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
