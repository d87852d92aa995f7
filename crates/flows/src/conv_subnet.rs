//! A coupling's network that sees the neighbours of a position.

use crate::{FlowError, Subnet, SubnetSize, check};
use candle_core::{Device, Tensor};
use hgad_kernels::{Rectifier, linear};
use hgad_parameters::{Parameters, Weight};

/// Two convolutions over the map, with zeros around it and a ReLU between them, as FastFlow has
/// them (Yu et al., 2021). Vectors are whole maps, image by image, positions row-major.
pub struct ConvSubnet {
    size: SubnetSize,
    kernel: usize,
    map: (usize, usize),
    w1: Weight,
    b1: Weight,
    w2: Weight,
    b2: Weight,
}

impl ConvSubnet {
    /// Kernels of `kernel` x `kernel` over maps of `map`, (height, width), with PyTorch's start,
    /// U(-1/sqrt(fan_in), 1/sqrt(fan_in)). Weights have PyTorch's shape (out, in, kernel, kernel)
    /// and the names of [`crate::DenseSubnet`].
    ///
    /// # Errors
    /// No hidden layer; an even kernel, which has no middle; an empty map.
    pub fn new(
        parameters: &Parameters,
        size: &SubnetSize,
        kernel: usize,
        map: (usize, usize),
    ) -> Result<Self, FlowError> {
        check::at_least("hidden_factor", size.hidden_factor, 1, "the subnet needs a hidden layer")?;
        check::at_least("map", map.0.min(map.1), 1, "a map has rows and columns")?;
        if kernel.is_multiple_of(2) {
            let why = "expected an odd number, so that a position is in the middle";
            return Err(FlowError::Setting { key: "kernel", value: kernel.to_string(), why });
        }
        let (input, hidden, output) = (size.input + size.condition, size.hidden(), size.output);
        let bound = |channels: usize| 1.0 / ((channels * kernel * kernel) as f64).sqrt();
        let layer = |index: usize, out: usize, into: usize| -> Result<_, FlowError> {
            let weight = format!("{index}.weight");
            Ok((
                parameters.uniform(&weight, (out, into, kernel, kernel), bound(into))?,
                parameters.uniform(&format!("{index}.bias"), out, bound(into))?,
            ))
        };
        let ((w1, b1), (w2, b2)) = (layer(0, hidden, input)?, layer(2, output, hidden)?);
        Ok(Self { size: *size, kernel, map, w1, b1, w2, b2 })
    }

    /// (N, C) to (N, kernel² C): the vectors around each, row-major, zeros outside the map.
    fn around(&self, x: &Tensor) -> Result<Tensor, FlowError> {
        if self.kernel == 1 {
            return Ok(x.contiguous()?);
        }
        let (n, c) = x.dims2()?;
        let zeros = Tensor::zeros((1, c), x.dtype(), x.device())?;
        let index = self.neighbours(n, x.device())?;
        let rows = Tensor::cat(&[x, &zeros], 0)?.index_select(&index, 0)?;
        Ok(rows.reshape((n, self.kernel * self.kernel * c))?)
    }

    /// The row of every neighbour of every one of `n` vectors; row `n` stands for those outside.
    fn neighbours(&self, n: usize, device: &Device) -> Result<Tensor, FlowError> {
        let ((h, w), k) = (self.map, self.kernel);
        let mut index = Vec::with_capacity(n * k * k);
        for row in 0..n {
            let (first, position) = (row - row % (h * w), row % (h * w));
            let (y, x) = (position / w, position % w);
            for (dy, dx) in (0..k * k).map(|i| (i / k, i % k)) {
                // Shifted by half a kernel, so that no number is below 0.
                let (y, x) = (y + dy, x + dx);
                let inside = (k / 2..h + k / 2).contains(&y) && (k / 2..w + k / 2).contains(&x);
                let at = if inside { first + (y - k / 2) * w + (x - k / 2) } else { n };
                index.push(at as u32);
            }
        }
        Ok(Tensor::from_vec(index, n * k * k, device)?)
    }

    /// (O, C, k, k) to (O, k² C), the order of [`ConvSubnet::around`].
    fn flat(&self, weight: &Tensor) -> Result<Tensor, FlowError> {
        let (o, c, k, _) = weight.dims4()?;
        Ok(weight.permute((0, 2, 3, 1))?.contiguous()?.reshape((o, k * k * c))?)
    }
}

impl Subnet for ConvSubnet {
    fn condition_dim(&self) -> usize {
        self.size.condition
    }

    fn whole_maps(&self) -> bool {
        true
    }

    fn forward(&self, x: &Tensor, condition: Option<&Tensor>) -> Result<Tensor, FlowError> {
        let (n, (height, width)) = (x.dim(0)?, self.map);
        if !n.is_multiple_of(height * width) {
            return Err(FlowError::Map { height, width, rows: n });
        }
        let (first, k) = (self.size.input, self.size.condition);
        let (w1, b1) = (self.w1.get(), self.b1.get().unsqueeze(0)?);
        let code = check::condition(condition, k, n)?;
        let (w1, b1) = match code {
            None => (w1, b1),
            Some(c) if c.dim(0)? == height * width => {
                // The code is one map, the same for every image.
                let of_condition = self.flat(&w1.narrow(1, first, k)?)?;
                let bias = linear(&self.around(c)?, &of_condition, &b1, Rectifier::None)?;
                (w1.narrow(1, 0, first)?, bias)
            }
            Some(c) => {
                return Err(FlowError::Condition {
                    expected: format!("({}, {k}), one map", height * width),
                    found: format!("{:?}", c.dims()),
                    rows: n,
                });
            }
        };
        let around = self.around(&x.narrow(1, 0, first)?)?;
        let hidden = linear(&around, &self.flat(&w1)?, &b1, Rectifier::Relu)?;
        let (w2, b2) = (self.flat(&self.w2.get())?, self.b2.get().unsqueeze(0)?);
        Ok(linear(&self.around(&hidden)?, &w2, &b2, Rectifier::None)?)
    }
}
