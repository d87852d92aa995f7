//! One step of Adam with coupled decay, in place.

use crate::isa::{Isa, dispatch};
use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor, bail};
use rayon::prelude::*;
use std::sync::Mutex;

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

struct Update<'a> {
    gradient: &'a [f32],
    moments: Mutex<(&'a mut [f32], &'a mut [f32])>,
    step: u64,
    config: AdamConfig,
}

/// The constants of one step.
struct Factors {
    beta1: f32,
    beta2: f32,
    step_size: f32,
    root_correction: f32,
    epsilon: f32,
    decay: f32,
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
        let c = &self.config;
        let t = self.step as f64;
        let factors = Factors {
            beta1: c.betas.0 as f32,
            beta2: c.betas.1 as f32,
            step_size: (c.rate / (1.0 - c.betas.0.powf(t))) as f32,
            root_correction: (1.0 - c.betas.1.powf(t)).sqrt() as f32,
            epsilon: c.epsilon as f32,
            decay: c.decay as f32,
        };
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
