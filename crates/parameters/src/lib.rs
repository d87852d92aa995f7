//! Named parameters of models.
//!
//! [`Parameters`] is what flows and priors make their weights from: each has a name (its key in a
//! weights file), a start drawn from a seed and its own name alone (so that adding a parameter
//! changes no other), and can be tracked for gradients or not. It takes the place of candle-nn's
//! `VarMap`, which cannot be seeded on the CPU.
//!
//! Invariant: this crate knows tensors and names, and no model.

mod error;
mod seed;
mod weight;

pub use error::ParameterError;
pub use seed::{Draws, seeded};
pub use weight::Weight;

use candle_core::{DType, Device, Shape, Tensor, Var};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// The parameters of one model, seen through a name prefix.
#[derive(Clone)]
pub struct Parameters {
    entries: Arc<Mutex<Vec<Entry>>>,
    tracking: Arc<AtomicBool>,
    prefix: String,
    seed: u64,
    dtype: DType,
    device: Device,
}

struct Entry {
    name: String,
    var: Var,
    trainable: bool,
}

impl Parameters {
    /// None yet. `seed` drives every start; `dtype` and `device` are those of the tensors.
    pub fn new(seed: u64, dtype: DType, device: &Device) -> Self {
        Self {
            entries: Arc::default(),
            tracking: Arc::new(AtomicBool::new(true)),
            prefix: String::new(),
            seed,
            dtype,
            device: device.clone(),
        }
    }

    /// The same parameters with `name.` before every name made here.
    pub fn scope(&self, name: impl std::fmt::Display) -> Self {
        Self { prefix: format!("{}{name}.", self.prefix), ..self.clone() }
    }

    /// The type of every tensor.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Where every tensor is.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Random numbers for the parameter `name`, from the seed and its full name.
    pub fn draws(&self, name: &str) -> Draws {
        seeded(self.seed, &format!("{}{name}", self.prefix))
    }

    /// A parameter that is trained, and its start.
    ///
    /// # Errors
    /// `start` has another number of elements than `shape`; the name is taken.
    pub fn trainable(
        &self,
        name: &str,
        shape: impl Into<Shape>,
        start: Vec<f64>,
    ) -> Result<Weight, ParameterError> {
        self.add(name, shape.into(), start, true)
    }

    /// A tensor that is saved with the model and never trained.
    ///
    /// # Errors
    /// As [`Parameters::trainable`].
    pub fn fixed(
        &self,
        name: &str,
        shape: impl Into<Shape>,
        value: Vec<f64>,
    ) -> Result<Weight, ParameterError> {
        self.add(name, shape.into(), value, false)
    }

    /// Trained, drawn from U(-bound, bound).
    ///
    /// # Errors
    /// The name is taken.
    pub fn uniform(
        &self,
        name: &str,
        shape: impl Into<Shape>,
        bound: f64,
    ) -> Result<Weight, ParameterError> {
        let (shape, mut draws) = (shape.into(), self.draws(name));
        let start = (0..shape.elem_count()).map(|_| draws.uniform(-bound, bound)).collect();
        self.add(name, shape, start, true)
    }

    /// Trained, drawn from N(0, 1).
    ///
    /// # Errors
    /// The name is taken.
    pub fn normal(&self, name: &str, shape: impl Into<Shape>) -> Result<Weight, ParameterError> {
        let (shape, mut draws) = (shape.into(), self.draws(name));
        let start = (0..shape.elem_count()).map(|_| draws.normal()).collect();
        self.add(name, shape, start, true)
    }

    fn add(
        &self,
        name: &str,
        shape: Shape,
        start: Vec<f64>,
        trainable: bool,
    ) -> Result<Weight, ParameterError> {
        let name = format!("{}{name}", self.prefix);
        if start.len() != shape.elem_count() {
            return Err(ParameterError::Start {
                name,
                found: start.len(),
                shape: shape.into_dims(),
            });
        }
        let mut entries = self.entries.lock().unwrap_or_else(|e| e.into_inner());
        if entries.iter().any(|e| e.name == name) {
            return Err(ParameterError::Taken { name });
        }
        let start = Tensor::from_vec(start, shape, &Device::Cpu)?;
        let start = start.to_dtype(self.dtype)?.to_device(&self.device)?;
        let var = Var::from_tensor(&start)?;
        entries.push(Entry { name, var: var.clone(), trainable });
        Ok(Weight::new(var, trainable.then(|| self.tracking.clone())))
    }

    /// Whether [`Weight::get`] gives tensors that gradients reach; off for inference, where the
    /// graph of operations would only hold memory.
    pub fn track(&self, on: bool) {
        self.tracking.store(on, Ordering::Relaxed);
    }

    /// Whether they are tracked.
    pub fn tracked(&self) -> bool {
        self.tracking.load(Ordering::Relaxed)
    }

    /// The trained parameters, in the order they were made.
    pub fn trainable_vars(&self) -> Vec<(String, Var)> {
        let entries = self.entries.lock().unwrap_or_else(|e| e.into_inner());
        entries.iter().filter(|e| e.trainable).map(|e| (e.name.clone(), e.var.clone())).collect()
    }

    /// Every tensor that belongs in a weights file, by name.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let entries = self.entries.lock().unwrap_or_else(|e| e.into_inner());
        entries.iter().map(|e| (e.name.clone(), e.var.as_tensor().detach())).collect()
    }

    /// Takes every value from `state`, whose names carry `prefix` before ours; others are left
    /// alone.
    ///
    /// # Errors
    /// A name that is missing there, or has another shape: nothing is changed then.
    pub fn load(
        &self,
        prefix: &str,
        state: &HashMap<String, Tensor>,
    ) -> Result<(), ParameterError> {
        let entries = self.entries.lock().unwrap_or_else(|e| e.into_inner());
        let mut values = Vec::with_capacity(entries.len());
        for entry in entries.iter() {
            let key = format!("{prefix}{}", entry.name);
            let Some(value) = state.get(&key) else {
                return Err(ParameterError::Missing { name: key });
            };
            if value.dims() != entry.var.dims() {
                return Err(ParameterError::Shape {
                    name: key,
                    found: value.dims().to_vec(),
                    expected: entry.var.dims().to_vec(),
                });
            }
            values.push(value.to_dtype(self.dtype)?.to_device(&self.device)?);
        }
        for (entry, value) in entries.iter().zip(values) {
            entry.var.set(&value)?;
        }
        Ok(())
    }

    /// How many numbers are trained.
    pub fn count(&self) -> usize {
        self.trainable_vars().iter().map(|(_, v)| v.elem_count()).sum()
    }
}
