//! Adam with coupled decay over the parameters of one level.

use crate::error::ExperimentError;
use candle_core::{DType, Tensor, Var};
use hgad_kernels::{AdamConfig, adam_step};

/// Adam (Kingma and Ba, ICLR 2015): L2 in the gradient, on the flow's parameters alone.
pub struct Adam {
    slots: Vec<Slot>,
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
        Self { slots: slots.collect() }
    }

    /// The parameters, in the order gradients are given to [`Adam::step`].
    pub fn vars(&self) -> impl Iterator<Item = &Var> {
        self.slots.iter().map(|s| &s.var)
    }

    /// Moves every parameter that has a gradient; one without is left alone, its moments too.
    ///
    /// # Errors
    /// From candle.
    pub fn step(
        &mut self,
        gradients: &[Option<Tensor>],
        rate: f64,
        settings: &AdamSettings,
    ) -> Result<(), ExperimentError> {
        for (slot, gradient) in self.slots.iter_mut().zip(gradients) {
            let Some(gradient) = gradient else { continue };
            slot.steps += 1;
            let config = AdamConfig {
                rate,
                betas: (settings.betas[0], settings.betas[1]),
                epsilon: settings.epsilon,
                decay: if slot.decayed { settings.decay } else { 0.0 },
            };
            let moments = (slot.mean.as_mut_slice(), slot.square.as_mut_slice());
            if slot.var.device().is_cpu() && slot.var.dtype() == DType::F32 {
                adam_step(slot.var.as_tensor(), gradient, moments, slot.steps, &config)?;
            } else {
                // Elsewhere the step is made on the host, which holds the moments.
                let host = |t: &Tensor| {
                    t.to_device(&candle_core::Device::Cpu)?.to_dtype(DType::F32)?.copy()
                };
                let moved = host(slot.var.as_tensor())?;
                adam_step(&moved, &host(gradient)?, moments, slot.steps, &config)?;
                slot.var.set(&moved.to_dtype(slot.var.dtype())?.to_device(slot.var.device())?)?;
            }
        }
        Ok(())
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
