//! Training of a stack of coupling blocks on a CUDA device.

use crate::coupling_stack::StackSize;
use crate::device::stack::{Block, Chunk, Code, Stack};
use crate::device::{OfTensors, cuda};
use crate::position_bias::PositionCode;
use crate::storage::has_kernels;
use candle_core::{Device, Result, Tensor, bail};

/// Parameters of a block on a device.
pub type DeviceBlock = Block<Tensor>;

/// [`crate::StackWorkspace`] on a device: a chunk goes through all blocks at once, its activations kept
/// there, and only what a caller asks for comes back.
pub struct DeviceStack {
    size: StackSize,
    device: Device,
    stack: Stack<Tensor>,
}

impl DeviceStack {
    /// Whether this build can train parameters like this one where they are.
    pub fn can_train(parameter: &Tensor) -> bool {
        parameter.device().is_cuda() && has_kernels(&[parameter])
    }

    /// For blocks of that size; `code` of all positions, where they are conditioned.
    ///
    /// # Errors
    /// A code of other channels; from candle.
    pub fn new(size: StackSize, code: Option<PositionCode>, device: &Device) -> Result<Self> {
        let channels = code.as_ref().map_or(0, PositionCode::channels);
        if channels != size.condition {
            bail!("a stack conditioned on {} channels got a code of {channels}", size.condition)
        }
        let there = |code: PositionCode| {
            let all: Vec<f32> = code.parts().flat_map(|p| p.0).collect();
            let codes = Tensor::from_slice(&all, all.len(), device)?;
            Ok::<_, candle_core::Error>(Code {
                codes,
                parts: code.parts().map(|p| (p.1, p.2)).collect(),
            })
        };
        let code = code.map(there).transpose()?;
        Ok(Self { size, device: device.clone(), stack: Stack::new(size, code) })
    }

    /// Begins a step: takes the weights as they are now, and sets all gradients to 0.
    ///
    /// # Errors
    /// Weights of other lengths; from candle.
    pub fn begin(&mut self, blocks: Vec<DeviceBlock>) -> Result<()> {
        let (d, [w1, b1, w2, b2, _]) = (self.size.dim, self.size.lengths());
        for b in &blocks {
            let wanted = [w1, b1, w2, b2, d, d, d * d];
            let all = [&b.w1, &b.b1, &b.w2, &b.b2, &b.scale, &b.offset, &b.rotation];
            if all.map(Tensor::elem_count) != wanted || !has_kernels(&all) {
                bail!("a stack of D = {d} got a block of {:?} numbers", all.map(Tensor::elem_count))
            }
        }
        self.stack.begin(&OfTensors, blocks)
    }

    /// Positions `first..first + count` of maps on the host, each (P, D) row-major: latents (B, count, D)
    /// and log-determinants (B, count), on the device.
    ///
    /// # Errors
    /// Maps that are too short; from candle.
    pub fn forward(
        &mut self,
        maps: &[&[f32]],
        (first, count): (usize, usize),
    ) -> Result<(Tensor, Tensor)> {
        let (d, images) = (self.size.dim, maps.len());
        let range = first * d..(first + count) * d;
        if images == 0 || count == 0 || maps.iter().any(|m| m.len() < range.end) {
            bail!("a stack got {images} maps without {count} positions from {first} on")
        }
        let parts: Vec<&[f32]> = maps.iter().map(|m| &m[range.clone()]).collect();
        let x = cuda::upload(&self.device, &parts)?;
        self.run(x, Chunk { images, first, count })
    }

    /// The same of maps (B, P, D) on the device.
    ///
    /// # Errors
    /// Maps of another size; from candle.
    pub fn forward_on_device(
        &mut self,
        maps: &Tensor,
        (first, count): (usize, usize),
    ) -> Result<(Tensor, Tensor)> {
        let (images, _, d) = maps.dims3()?;
        if d != self.size.dim || !has_kernels(&[maps]) {
            bail!("a stack of D = {} got maps {:?}", self.size.dim, maps.dims())
        }
        let x = maps.narrow(1, first, count)?.contiguous()?;
        self.run(x, Chunk { images, first, count })
    }

    fn run(&mut self, x: Tensor, chunk: Chunk) -> Result<(Tensor, Tensor)> {
        let (images, count, d) = (chunk.images, chunk.count, self.size.dim);
        let (z, log_det) = self.stack.forward(&OfTensors, x, chunk)?;
        Ok((z.reshape((images, count, d))?, log_det.reshape((images, count))?))
    }

    /// Backward of the last [`DeviceStack::forward`]: `dz` (B, count, D) and `dlog_det` (B, count), on the
    /// device, add to the gradients.
    ///
    /// # Errors
    /// From candle.
    pub fn backward(&mut self, dz: &Tensor, dlog_det: &Tensor) -> Result<()> {
        let total = dlog_det.sum_all()?.reshape(1)?;
        let (dz, dlog_det) = (dz.contiguous()?, dlog_det.contiguous()?);
        self.stack.backward(&OfTensors, dz, &dlog_det, total)
    }

    /// The gradients so far, those of a block in the order of [`DeviceBlock`]'s trained parameters; they
    /// are spent until [`DeviceStack::begin`].
    ///
    /// # Errors
    /// From candle.
    pub fn gradients(&mut self) -> Result<Vec<[Tensor; 6]>> {
        let after = 2 * self.size.dim;
        let blocks = self.stack.gradients(&OfTensors)?.into_iter();
        let tensors = blocks.map(|g| {
            let b2 = g.b2.narrow(0, after, 2 * self.size.half())?;
            Ok([g.w1, g.b1, g.w2, b2, g.scale, g.offset])
        });
        tensors.collect()
    }
}
