//! Adam with coupled decay over the parameters of one level.

use candle_core::{DType, Device, TensorId, Var};
use hgad_kernels::{AdamConfig, adam_step};
use std::collections::HashMap;

/// Adam (Kingma and Ba, ICLR 2015): L2 in the gradient, on the flow's parameters alone.
pub struct Adam {
    slots: Vec<Slot>,
    index: HashMap<TensorId, usize>,
}

struct Slot {
    name: String,
    var: Var,
    decayed: bool,
    steps: u64,
    mean: Vec<f32>,
    square: Vec<f32>,
}

/// What a step needs besides the rate.
#[derive(Clone, Copy, Debug)]
pub struct AdamSettings {
    /// Decay rates of the moments.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// L2 penalty of the decayed parameters.
    pub decay: f64,
}

impl Adam {
    /// Moments at 0. `decayed` parameters get the L2 penalty, `free` ones do not.
    pub fn new(decayed: Vec<(String, Var)>, free: Vec<(String, Var)>) -> Self {
        let slot = |decayed| {
            move |(name, var): (String, Var)| {
                let zeros = vec![0.0; var.elem_count()];
                Slot { name, var, decayed, steps: 0, mean: zeros.clone(), square: zeros }
            }
        };
        let slots = decayed.into_iter().map(slot(true)).chain(free.into_iter().map(slot(false)));
        let slots: Vec<Slot> = slots.collect();
        let index = slots.iter().enumerate().map(|(i, s)| (s.var.id(), i)).collect();
        Self { slots, index }
    }

    /// The parameters.
    pub fn vars(&self) -> impl Iterator<Item = &Var> {
        self.slots.iter().map(|s| &s.var)
    }

    /// Moves one parameter by its gradient (row-major); one that is never given is left alone, its
    /// moments too.
    ///
    /// # Errors
    /// A parameter that is not among ours; from candle.
    pub fn update(
        &mut self,
        var: &Var,
        gradient: &[f32],
        rate: f64,
        settings: &AdamSettings,
    ) -> candle_core::Result<()> {
        let Some(slot) = self.index.get(&var.id()).map(|i| &mut self.slots[*i]) else {
            candle_core::bail!("Adam: a parameter that it was not made for")
        };
        slot.steps += 1;
        let config = AdamConfig {
            rate,
            betas: (settings.betas[0], settings.betas[1]),
            epsilon: settings.epsilon,
            decay: if slot.decayed { settings.decay } else { 0.0 },
        };
        let moments = (slot.mean.as_mut_slice(), slot.square.as_mut_slice());
        if var.device().is_cpu() && var.dtype() == DType::F32 {
            return adam_step(var.as_tensor(), gradient, moments, slot.steps, &config);
        }
        // Elsewhere the step is made on the host, which holds the moments.
        let host = var.as_tensor().to_device(&Device::Cpu)?.to_dtype(DType::F32)?.copy()?;
        adam_step(&host, gradient, moments, slot.steps, &config)?;
        var.set(&host.to_dtype(var.dtype())?.to_device(var.device())?)
    }

    /// Name, steps and moments of every parameter, for a checkpoint.
    pub fn state(&self) -> impl Iterator<Item = (&str, u64, &[f32], &[f32])> {
        self.slots
            .iter()
            .map(|s| (s.name.as_str(), s.steps, s.mean.as_slice(), s.square.as_slice()))
    }

    /// Takes steps and moments from `find`, by name and length.
    ///
    /// # Errors
    /// The name of a parameter that `find` does not know.
    pub fn restore(
        &mut self,
        mut find: impl FnMut(&str, usize) -> Option<(u64, Vec<f32>, Vec<f32>)>,
    ) -> Result<(), String> {
        for slot in &mut self.slots {
            let (steps, mean, square) =
                find(&slot.name, slot.mean.len()).ok_or_else(|| slot.name.clone())?;
            (slot.steps, slot.mean, slot.square) = (steps, mean, square);
        }
        Ok(())
    }
}
