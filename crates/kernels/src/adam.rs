//! One step of Adam with coupled decay, in place.

#[cfg(feature = "cuda")]
use crate::device;
use crate::isa::{Isa, dispatch};
use crate::storage::has_kernels;
use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Result, Tensor, bail};
use rayon::prelude::*;
use std::sync::Mutex;

/// The gradient of a parameter, where it was made.
#[derive(Clone, Copy, Debug)]
pub enum Gradient<'a> {
    /// On the host, row-major.
    Host(&'a [f32]),
    /// On the parameter's device.
    Tensor(&'a Tensor),
}

impl Gradient<'_> {
    /// A copy on the host, row-major.
    ///
    /// # Errors
    /// From candle.
    pub fn to_vec(&self) -> Result<Vec<f32>> {
        match self {
            Self::Host(g) => Ok(g.to_vec()),
            Self::Tensor(t) => t.flatten_all()?.to_device(&Device::Cpu)?.to_vec1(),
        }
    }
}

/// Settings of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamConfig {
    /// Learning rate.
    pub rate: f64,
    /// Decay rates of the two moments.
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// L2 penalty, added to the gradient (coupled: Adam as first published, not AdamW).
    pub decay: f64,
}

/// Moves `parameter` by its `step`-th update (from 1), Adam (Kingma and Ba, ICLR 2015) in the form
/// PyTorch computes it. `gradient`, and `moments`, the running means of gradient and squared
/// gradient, are as long as the parameter and on the host. For `f32` on the CPU; the parameter's storage is changed.
///
/// # Errors
/// Lengths that differ, another type or device.
pub fn adam_step(
    parameter: &Tensor,
    gradient: &[f32],
    moments: (&mut [f32], &mut [f32]),
    step: u64,
    config: &AdamConfig,
) -> Result<()> {
    let n = parameter.elem_count();
    if gradient.len() != n || moments.0.len() != n || moments.1.len() != n || step == 0 {
        bail!(
            "Adam: {n} parameters, {} gradients, moments of {} and {}, step {step}",
            gradient.len(),
            moments.0.len(),
            moments.1.len()
        )
    }
    let update = Update { gradient, moments: Mutex::new(moments), step, config: *config };
    parameter.inplace_op1(&update)
}

/// [`adam_step`] on a device, where everything is: `parameter`, `gradient` and `moments` of one length,
/// and the `loss`, a scalar. Where the loss is not finite nothing is changed, so nobody waits for it. For
/// `f32` on a device that this build has the kernel for, see [`has_adam`]; parameter and moments are
/// changed.
///
/// # Errors
/// Lengths that differ, another type or device.
pub fn adam_step_on_device(
    parameter: &Tensor,
    gradient: &Tensor,
    moments: [&Tensor; 2],
    loss: &Tensor,
    step: u64,
    config: &AdamConfig,
) -> Result<()> {
    let n = parameter.elem_count();
    let lengths = [gradient, moments[0], moments[1]].map(Tensor::elem_count);
    if lengths != [n; 3] || loss.elem_count() != 1 || step == 0 || !has_adam(parameter) {
        bail!(
            "Adam: {n} parameters on {:?}, gradients and moments of {lengths:?}, step {step}",
            parameter.device()
        )
    }
    #[cfg(feature = "cuda")]
    {
        use device::Trains;
        let launch = device::adam(n, &config.factors(step));
        let (mut p, [mut m, mut v]) = (parameter.clone(), moments.map(Tensor::clone));
        let gradient = gradient.contiguous()?;
        device::OfTensors.update(&launch, &[&gradient, loss], &mut [&mut p, &mut m, &mut v])?;
    }
    #[cfg(not(feature = "cuda"))]
    let _ = config;
    Ok(())
}

/// Whether [`adam_step_on_device`] can move this parameter.
pub fn has_adam(parameter: &Tensor) -> bool {
    parameter.device().is_cuda() && has_kernels(&[parameter])
}

struct Update<'a> {
    gradient: &'a [f32],
    moments: Mutex<(&'a mut [f32], &'a mut [f32])>,
    step: u64,
    config: AdamConfig,
}

/// The constants of one step.
pub(crate) struct Factors {
    pub(crate) beta1: f32,
    pub(crate) beta2: f32,
    pub(crate) step_size: f32,
    pub(crate) root_correction: f32,
    pub(crate) epsilon: f32,
    pub(crate) decay: f32,
}

impl AdamConfig {
    /// Of the `step`-th step, from 1.
    pub(crate) fn factors(&self, step: u64) -> Factors {
        let t = step as f64;
        Factors {
            beta1: self.betas.0 as f32,
            beta2: self.betas.1 as f32,
            step_size: (self.rate / (1.0 - self.betas.0.powf(t))) as f32,
            root_correction: (1.0 - self.betas.1.powf(t)).sqrt() as f32,
            epsilon: self.epsilon as f32,
            decay: self.decay as f32,
        }
    }
}

impl InplaceOp1 for Update<'_> {
    fn name(&self) -> &'static str {
        "adam_step"
    }

    fn cpu_fwd(&self, parameter: &mut CpuStorage, lp: &Layout) -> Result<()> {
        let Some((start, end)) = lp.contiguous_offsets() else {
            bail!("Adam: expects a contiguous parameter, got {lp:?}")
        };
        let CpuStorage::F32(parameter) = parameter else { bail!("Adam: expects an f32 parameter") };
        let factors = self.config.factors(self.step);
        let mut moments = self.moments.lock().unwrap_or_else(|e| e.into_inner());
        let (m, v) = &mut *moments;
        const BLOCK: usize = 1 << 14;
        parameter[start..end]
            .par_chunks_mut(BLOCK)
            .zip(self.gradient.par_chunks(BLOCK))
            .zip(m.par_chunks_mut(BLOCK))
            .zip(v.par_chunks_mut(BLOCK))
            .for_each(|(((p, g), m), v)| update(p, g, m, v, &factors));
        Ok(())
    }
}

dispatch!(fn update(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], f: &Factors) = update_body);
#[inline(always)]
fn update_body<I: Isa>(p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32], f: &Factors) {
    for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
        let g = I::madd(f.decay, *p, *g);
        *m = I::madd(g - *m, 1.0 - f.beta1, *m);
        *v = I::madd(g * g, 1.0 - f.beta2, *v * f.beta2);
        *p -= f.step_size * (*m / (v.sqrt() / f.root_correction + f.epsilon));
    }
}
