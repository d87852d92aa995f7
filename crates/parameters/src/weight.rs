//! One parameter, as a layer holds it.

use candle_core::{Tensor, Var};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A parameter's current value.
#[derive(Clone)]
pub struct Weight {
    var: Var,
    tracking: Option<Arc<AtomicBool>>,
}

impl Weight {
    pub(crate) fn new(var: Var, tracking: Option<Arc<AtomicBool>>) -> Self {
        Self { var, tracking }
    }

    /// The variable itself, to be optimized.
    pub fn var(&self) -> &Var {
        &self.var
    }

    /// Gives it another value of the same shape, before it is trained; its type and device stay.
    ///
    /// # Errors
    /// Another shape.
    pub fn set(&self, value: &Tensor) -> candle_core::Result<()> {
        self.var.set(&value.to_dtype(self.var.dtype())?.to_device(self.var.device())?)
    }

    /// Its value now; gradients reach it if it is trained and its model is being tracked.
    pub fn get(&self) -> Tensor {
        match &self.tracking {
            Some(t) if t.load(Ordering::Relaxed) => self.var.as_tensor().clone(),
            _ => self.var.as_tensor().detach(),
        }
    }
}
