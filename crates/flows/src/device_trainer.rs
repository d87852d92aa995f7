//! Training of coupling blocks by the kernels of a CUDA device.

use crate::{CouplingBlock, FeatureMaps, FlowError, FlowTrainer};
use candle_core::{Device, Tensor, Var};
use hgad_kernels::{DeviceBlock, DeviceStack, Gradient, PositionCode, StackSize};
use std::sync::Arc;

/// Gradients of coupling blocks in a row, made and kept on their device.
pub(crate) struct DeviceTrainer {
    blocks: Vec<Arc<CouplingBlock>>,
    size: StackSize,
    stack: DeviceStack,
}

impl DeviceTrainer {
    /// For these blocks, whose parameters are on `device`.
    pub(crate) fn new(
        blocks: &[Arc<CouplingBlock>],
        size: StackSize,
        code: Option<PositionCode>,
        device: &Device,
    ) -> Result<Self, FlowError> {
        let stack = DeviceStack::new(size, code, device)?;
        Ok(Self { blocks: blocks.to_vec(), size, stack })
    }
}

impl FlowTrainer for DeviceTrainer {
    fn begin(&mut self) -> Result<(), FlowError> {
        let of_block = |block: &Arc<CouplingBlock>| {
            let subnet = &block.subnet;
            let now = |w: &hgad_parameters::Weight| w.var().as_tensor().clone();
            Ok(DeviceBlock {
                w1: now(&subnet.w1),
                b1: now(&subnet.b1),
                w2: now(&subnet.w2),
                b2: now(&subnet.b2),
                scale: now(&block.scale),
                offset: now(&block.offset),
                rotation: block.mixing.matrix()?.contiguous()?,
            })
        };
        let blocks = self.blocks.iter().map(of_block).collect::<Result<Vec<_>, FlowError>>()?;
        Ok(self.stack.begin(blocks)?)
    }

    fn forward(
        &mut self,
        maps: &FeatureMaps,
        first: usize,
        count: usize,
    ) -> Result<(Var, Var), FlowError> {
        maps.images(first + count, self.size.dim)?;
        let (z, log_det) = match maps {
            FeatureMaps::Host(maps) => self.stack.forward(maps, (first, count))?,
            FeatureMaps::Device(maps) => self.stack.forward_on_device(maps, (first, count))?,
        };
        Ok((Var::from_tensor(&z)?, Var::from_tensor(&log_det)?))
    }

    fn backward(&mut self, dz: &Tensor, dlog_det: &Tensor) -> Result<(), FlowError> {
        Ok(self.stack.backward(dz, dlog_det)?)
    }

    fn gradients(
        &mut self,
        each: &mut dyn FnMut(&Var, Gradient) -> candle_core::Result<()>,
    ) -> Result<(), FlowError> {
        for (block, gradients) in self.blocks.iter().zip(self.stack.gradients()?) {
            let subnet = &block.subnet;
            let weights =
                [&subnet.w1, &subnet.b1, &subnet.w2, &subnet.b2, &block.scale, &block.offset];
            for (weight, gradient) in weights.into_iter().zip(&gradients) {
                each(weight.var(), Gradient::Tensor(gradient))?;
            }
        }
        Ok(())
    }
}
