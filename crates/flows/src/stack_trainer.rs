//! Training of coupling blocks by the fused kernels of the CPU.

use crate::coupling_chain::{constant, gain, tensors, weights};
use crate::{CouplingBlock, FeatureMaps, FlowError, FlowTrainer};
use candle_core::{Device, Tensor, Var};
use hgad_kernels::{Gradient, PositionCode, StackSize, StackWorkspace, with_slices};
use std::sync::Arc;

/// Gradients of coupling blocks in a row.
pub(crate) struct StackTrainer {
    blocks: Vec<Arc<CouplingBlock>>,
    size: StackSize,
    workspace: StackWorkspace,
    /// The part of the log-determinant that is the same for every vector of the step.
    constant: f32,
    /// Images, first position and number of positions of the last forward.
    chunk: (usize, usize, usize),
    /// Sum of the log-determinants' gradients, which reaches every gain.
    dlog_det: f64,
}

impl StackTrainer {
    /// For these blocks, whose parameters are on the CPU.
    pub(crate) fn new(
        blocks: &[Arc<CouplingBlock>],
        size: StackSize,
        code: Option<PositionCode>,
    ) -> Result<Self, FlowError> {
        let (workspace, constant) = with_slices(&tensors(blocks)?, |slices| {
            let weights = weights(slices);
            let constant = constant(&weights, size.dim);
            (StackWorkspace::new(size, &weights, code), constant)
        })?;
        let (blocks, chunk, dlog_det) = (blocks.to_vec(), (0, 0, 0), 0.0);
        Ok(Self { blocks, size, workspace, constant, chunk, dlog_det })
    }
}

impl FlowTrainer for StackTrainer {
    fn begin(&mut self) -> Result<(), FlowError> {
        self.dlog_det = 0.0;
        let (workspace, d) = (&mut self.workspace, self.size.dim);
        self.constant = with_slices(&tensors(&self.blocks)?, |slices| {
            let weights = weights(slices);
            workspace.begin(&weights);
            constant(&weights, d)
        })?;
        Ok(())
    }

    fn forward(
        &mut self,
        maps: &FeatureMaps,
        first: usize,
        count: usize,
    ) -> Result<(Var, Var), FlowError> {
        let d = self.size.dim;
        let images = maps.images(first + count, d)?;
        self.chunk = (images, first, count);
        let (workspace, chunk) = (&mut self.workspace, (first, count));
        let (z, mut log_det) = match maps {
            FeatureMaps::Host(maps) => workspace.forward(maps, chunk),
            FeatureMaps::Device(maps) => {
                let length = maps.dim(1)? * d;
                with_slices(&[maps.contiguous()?], |all| {
                    let maps: Vec<&[f32]> = all[0].chunks_exact(length.max(1)).collect();
                    workspace.forward(&maps, chunk)
                })?
            }
        };
        log_det.iter_mut().for_each(|l| *l += self.constant);
        let z = Var::from_vec(z, (images, count, d), &Device::Cpu)?;
        Ok((z, Var::from_vec(log_det, (images, count), &Device::Cpu)?))
    }

    fn backward(&mut self, dz: &Tensor, dlog_det: &Tensor) -> Result<(), FlowError> {
        let (images, first, count) = self.chunk;
        let all = [dz.contiguous()?, dlog_det.contiguous()?];
        with_slices(&all, |slices| {
            let (dz, dlog_det) = (slices[0], slices[1]);
            self.dlog_det += dlog_det.iter().map(|v| *v as f64).sum::<f64>();
            self.workspace.backward(images, (first, count), dz, dlog_det);
        })?;
        Ok(())
    }

    fn gradients(
        &mut self,
        each: &mut dyn FnMut(&Var, Gradient) -> candle_core::Result<()>,
    ) -> Result<(), FlowError> {
        let d = self.size.dim;
        let sums = self.workspace.gradients();
        for (k, block) in self.blocks.iter().enumerate() {
            let [w1, b1, w2, b2, affine] = sums.block(k);
            each(block.subnet.w1.var(), Gradient::Host(w1))?;
            each(block.subnet.b1.var(), Gradient::Host(b1))?;
            each(block.subnet.w2.var(), Gradient::Host(w2))?;
            each(block.subnet.b2.var(), Gradient::Host(b2))?;
            each(block.offset.var(), Gradient::Host(&affine[d..]))?;
            let raw = block.scale.var().flatten_all()?.to_vec1::<f32>()?;
            let through_gain: Vec<f32> = raw
                .iter()
                .zip(affine)
                .map(|(raw, dgain)| {
                    // dg/draw = 0.1 sigmoid(raw / 2), and ln g is part of every log-determinant.
                    let slope = 0.1 / (1.0 + (-*raw as f64 / 2.0).exp());
                    ((*dgain as f64 + self.dlog_det / gain(*raw)) * slope) as f32
                })
                .collect();
            each(block.scale.var(), Gradient::Host(&through_gain))?;
        }
        Ok(())
    }
}
