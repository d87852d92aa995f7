//! Adam with coupled decay over the parameters of one level.

use candle_core::{DType, Device, Result, Tensor, TensorId, Var};
use hgad_kernels::{AdamConfig, Gradient, adam_step, adam_step_on_device, has_adam};
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
    moments: Moments,
}

impl Slot {
    fn state(&self) -> Result<ParameterState<'_>> {
        let moments = self.moments.to_host()?;
        Ok(ParameterState { name: &self.name, steps: self.steps, moments })
    }
}

/// Running means of gradient and squared gradient.
enum Moments {
    Host([Vec<f32>; 2]),
    /// Where the parameter is.
    Device([Tensor; 2]),
}

impl Moments {
    /// From the host to where steps of `var` are made.
    fn of(var: &Var, moments: [Vec<f32>; 2]) -> Result<Self> {
        if !has_adam(var.as_tensor()) {
            return Ok(Self::Host(moments));
        }
        let [mean, square] = moments.map(|m| Tensor::from_vec(m, var.elem_count(), var.device()));
        Ok(Self::Device([mean?, square?]))
    }

    fn to_host(&self) -> Result<[Vec<f32>; 2]> {
        match self {
            Self::Host(moments) => Ok(moments.clone()),
            Self::Device([mean, square]) => Ok([mean.to_vec1()?, square.to_vec1()?]),
        }
    }
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

/// What Adam knows of one parameter.
#[derive(Clone, Debug)]
pub struct ParameterState<'a> {
    /// Name of the parameter.
    pub name: &'a str,
    /// Steps it made.
    pub steps: u64,
    /// Running means of gradient and squared gradient.
    pub moments: [Vec<f32>; 2],
}

impl Adam {
    /// Moments at 0. `decayed` parameters get the L2 penalty, `free` ones do not.
    ///
    /// # Errors
    /// From candle.
    pub fn new(decayed: Vec<(String, Var)>, free: Vec<(String, Var)>) -> Result<Self> {
        let slot = |decayed| {
            move |(name, var): (String, Var)| {
                let zeros = vec![0.0; var.elem_count()];
                let moments = Moments::of(&var, [zeros.clone(), zeros])?;
                Ok(Slot { name, var, decayed, steps: 0, moments })
            }
        };
        let slots = decayed.into_iter().map(slot(true)).chain(free.into_iter().map(slot(false)));
        let slots = slots.collect::<Result<Vec<Slot>>>()?;
        let index = slots.iter().enumerate().map(|(i, s)| (s.var.id(), i)).collect();
        Ok(Self { slots, index })
    }

    /// The parameters.
    pub fn vars(&self) -> impl Iterator<Item = &Var> {
        self.slots.iter().map(|s| &s.var)
    }

    /// Moves one parameter by its gradient; one that is never given is left alone, its moments too. Where
    /// `loss`, a scalar, is not finite, nothing is moved.
    ///
    /// # Errors
    /// A parameter that is not among ours; from candle.
    pub fn update(
        &mut self,
        var: &Var,
        gradient: Gradient,
        loss: &Tensor,
        rate: f64,
        settings: &AdamSettings,
    ) -> Result<()> {
        let Some(slot) = self.index.get(&var.id()).map(|i| &mut self.slots[*i]) else {
            candle_core::bail!("Adam: a parameter that it was not made for")
        };
        let config = AdamConfig {
            rate,
            betas: (settings.betas[0], settings.betas[1]),
            epsilon: settings.epsilon,
            decay: if slot.decayed { settings.decay } else { 0.0 },
        };
        let step = slot.steps + 1;
        match &mut slot.moments {
            // Nobody waits for the loss here: the device looks at it.
            Moments::Device([mean, square]) => {
                let made;
                let gradient = match gradient {
                    Gradient::Tensor(t) => t,
                    Gradient::Host(g) => {
                        made = Tensor::from_slice(g, g.len(), var.device())?;
                        &made
                    }
                };
                let (moments, var) = ([&*mean, &*square], var.as_tensor());
                adam_step_on_device(var, gradient, moments, loss, step, &config)?;
            }
            Moments::Host([mean, square]) => {
                if !loss.to_device(&Device::Cpu)?.to_scalar::<f32>()?.is_finite() {
                    return Ok(());
                }
                let made;
                let gradient = match gradient {
                    Gradient::Host(g) => g,
                    Gradient::Tensor(_) => {
                        made = gradient.to_vec()?;
                        &made
                    }
                };
                let moments = (mean.as_mut_slice(), square.as_mut_slice());
                if var.device().is_cpu() && var.dtype() == DType::F32 {
                    adam_step(var.as_tensor(), gradient, moments, step, &config)?;
                } else {
                    let host = var.as_tensor().to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
                    let host = host.copy()?;
                    adam_step(&host, gradient, moments, step, &config)?;
                    var.set(&host.to_dtype(var.dtype())?.to_device(var.device())?)?;
                }
            }
        }
        slot.steps = step;
        Ok(())
    }

    /// The state of every parameter, for a checkpoint.
    ///
    /// # Errors
    /// From candle.
    pub fn state(&self) -> Result<Vec<ParameterState<'_>>> {
        self.slots.iter().map(Slot::state).collect()
    }

    /// Takes steps and moments from `find`, by name and length.
    ///
    /// # Errors
    /// The name of a parameter that `find` does not know, or what candle says of one.
    pub fn restore(
        &mut self,
        mut find: impl FnMut(&str, usize) -> Option<(u64, [Vec<f32>; 2])>,
    ) -> std::result::Result<(), String> {
        for slot in &mut self.slots {
            let (steps, moments) =
                find(&slot.name, slot.var.elem_count()).ok_or_else(|| slot.name.clone())?;
            slot.moments =
                Moments::of(&slot.var, moments).map_err(|e| format!("{}: {e}", slot.name))?;
            slot.steps = steps;
        }
        Ok(())
    }
}
