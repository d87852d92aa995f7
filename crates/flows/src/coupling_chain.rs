//! The flow of the paper: coupling blocks in a row, trained by fused kernels on the CPU and on CUDA.

#[cfg(feature = "cuda")]
use crate::device_trainer::DeviceTrainer;
use crate::stack_trainer::StackTrainer;
use crate::{Bijection, Chain, CouplingBlock, CouplingConfig, FlowError, FlowTrainer, FrozenFlow};
use candle_core::{DType, Device, Tensor};
use hgad_kernels::{BlockWeights, FrozenStack, PositionCode, StackSize, with_slices};
use hgad_parameters::Parameters;
use std::sync::Arc;

/// `blocks` coupling blocks over vectors of `dim` entries (Yao et al., ECCV 2024). Block k's
/// parameters are `module_list.k.*`, as FrEIA's SequenceINN names them.
///
/// # Errors
/// No blocks, or a setting that makes no block.
pub fn coupling_chain(
    parameters: &Parameters,
    dim: usize,
    blocks: usize,
    config: &CouplingConfig,
) -> Result<CouplingChain, FlowError> {
    let blocks = (0..blocks)
        .map(|k| {
            let scope = parameters.scope(format_args!("module_list.{k}"));
            CouplingBlock::new(&scope, dim, config).map(Arc::new)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let steps = blocks.iter().map(|b| Box::new(b.clone()) as Box<dyn Bijection>).collect();
    let size = StackSize {
        dim,
        hidden: config.hidden_factor * (dim - dim / 2 + config.condition),
        condition: config.condition,
        clamp: config.clamp as f32,
    };
    Ok(CouplingChain { chain: Chain::new(steps)?, blocks, size })
}

/// Coupling blocks in a row. Those with a fixed permutation are trained by the fused kernels; all
/// have a form for inference.
pub struct CouplingChain {
    chain: Chain,
    blocks: Vec<Arc<CouplingBlock>>,
    size: StackSize,
}

impl Bijection for CouplingChain {
    fn dim(&self) -> usize {
        self.chain.dim()
    }

    fn condition_dim(&self) -> usize {
        self.chain.condition_dim()
    }

    fn forward(
        &self,
        x: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        self.chain.forward(x, condition)
    }

    fn inverse(
        &self,
        z: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        self.chain.inverse(z, condition)
    }

    fn starts_from_data(&self) -> bool {
        self.chain.starts_from_data()
    }

    fn initialize(&self, x: &Tensor, condition: Option<&Tensor>) -> Result<(), FlowError> {
        self.chain.initialize(x, condition)
    }

    fn trainer(&self, code: Option<&Tensor>) -> Result<Option<Box<dyn FlowTrainer>>, FlowError> {
        if self.blocks[0].mixing.learned() {
            return Ok(None);
        }
        #[cfg(feature = "cuda")]
        if hgad_kernels::DeviceStack::can_train(self.weight()) {
            let (code, device) = (self.code(code)?, self.weight().device());
            let trainer = DeviceTrainer::new(&self.blocks, self.size, code, device)?;
            return Ok(Some(Box::new(trainer)));
        }
        if !self.fused() {
            return Ok(None);
        }
        let trainer = StackTrainer::new(&self.blocks, self.size, self.code(code)?)?;
        Ok(Some(Box::new(trainer)))
    }

    fn freeze(&self, code: Option<&Tensor>) -> Result<Option<Box<dyn FrozenFlow>>, FlowError> {
        if !self.fused() {
            return Ok(None);
        }
        let code = self.code(code)?;
        let tensors = tensors(&self.blocks)?;
        let (stack, mut constant) = with_slices(&tensors, |slices| {
            let weights = weights(slices);
            let constant = constant(&weights, self.size.dim);
            (FrozenStack::new(self.size, &weights, code), constant)
        })?;
        for block in &self.blocks {
            if let Some(log_det) = block.mixing.log_det()? {
                constant += log_det.to_scalar::<f32>()?;
            }
        }
        Ok(Some(Box::new(FrozenChain { stack, dim: self.size.dim, constant })))
    }
}

impl CouplingChain {
    /// Whether the kernels of the stack can run it.
    fn fused(&self) -> bool {
        self.weight().device().is_cpu() && self.weight().dtype() == DType::F32
    }

    /// One of its parameters, which are all of one type and on one device.
    fn weight(&self) -> &Tensor {
        self.blocks[0].subnet.w1.var().as_tensor()
    }

    fn code(&self, code: Option<&Tensor>) -> Result<Option<PositionCode>, FlowError> {
        let k = self.size.condition;
        match code {
            Some(c) if k > 0 && c.dims().get(1) == Some(&k) => {
                let c = c.to_device(&Device::Cpu)?.flatten_all()?.to_vec1::<f32>()?;
                Ok(Some(PositionCode::new(&c, k)))
            }
            None if k == 0 => Ok(None),
            other => Err(FlowError::Condition {
                expected: if k == 0 { "none".into() } else { format!("(P, {k})") },
                found: other.map_or("none".into(), |c| format!("{:?}", c.dims())),
                rows: 0,
            }),
        }
    }
}

/// A chain with fixed weights.
struct FrozenChain {
    stack: FrozenStack,
    dim: usize,
    /// The part of the log-determinant that is the same for every vector.
    constant: f32,
}

impl FrozenFlow for FrozenChain {
    fn forward(
        &self,
        maps: &[&[f32]],
        first: usize,
        count: usize,
    ) -> Result<(Vec<f32>, Vec<f32>), FlowError> {
        check_maps(maps, first + count, self.dim)?;
        let (z, mut log_det) = self.stack.forward(maps, (first, count));
        log_det.iter_mut().for_each(|l| *l += self.constant);
        Ok((z, log_det))
    }
}

pub(crate) fn check_maps(maps: &[&[f32]], positions: usize, d: usize) -> Result<(), FlowError> {
    match maps.iter().find(|m| m.len() < positions * d) {
        Some(map) => Err(FlowError::Input { expected: d, found: vec![map.len() / d, d] }),
        None => Ok(()),
    }
}

/// `g = 0.1 softplus_0.5(raw) = 0.2 ln(1 + e^(raw / 2))`.
pub(crate) fn gain(raw: f32) -> f64 {
    let half = raw as f64 / 2.0;
    0.2 * (half.max(0.0) + (-half.abs()).exp().ln_1p())
}

pub(crate) fn weights<'a>(slices: &'a [&'a [f32]]) -> Vec<BlockWeights<'a>> {
    slices
        .chunks_exact(7)
        .map(|s| BlockWeights {
            w1: s[0],
            b1: s[1],
            w2: s[2],
            b2: s[3],
            affine: s[4].iter().map(|raw| gain(*raw) as f32).chain(s[5].iter().copied()).collect(),
            rotation: s[6],
        })
        .collect()
}

/// Every block's parameters and matrix as they are now, in the order [`weights`] reads them.
pub(crate) fn tensors(blocks: &[Arc<CouplingBlock>]) -> Result<Vec<Tensor>, FlowError> {
    let mut all = Vec::with_capacity(7 * blocks.len());
    for b in blocks {
        let subnet = [&b.subnet.w1, &b.subnet.b1, &b.subnet.w2, &b.subnet.b2];
        let of_block = subnet.into_iter().chain([&b.scale, &b.offset]);
        all.extend(of_block.map(|w| w.var().as_tensor().clone()));
        all.push(b.mixing.matrix()?.contiguous()?);
    }
    Ok(all)
}

/// `sum ln g` over all blocks.
pub(crate) fn constant(weights: &[BlockWeights], d: usize) -> f32 {
    let gains = weights.iter().flat_map(|w| &w.affine[..d]);
    gains.map(|g| (*g as f64).ln()).sum::<f64>() as f32
}
