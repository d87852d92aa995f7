//! Any prior with a memory beside it: what is unlikely, and what was never seen.

use crate::{Memory, Prior, PriorError, Start};
use candle_core::{DType, Device, Tensor};
use hgad_parameters::{Draws, Parameters};

/// The density of another prior, and beside it a [`Memory`] of each class's latents. A mixture with few centres
/// knows how often what occurs; a coreset knows the rare, which a mixture takes for an anomaly, and the
/// distance to it. The density, its classes and its training are the other prior's alone; the memory is
/// [`Prior::nearness_of_class`].
pub struct Remembering {
    prior: Box<dyn Prior>,
    memory: Memory,
}

impl Remembering {
    /// `prior` with the fixed parameters of a [`Memory`] of `size` vectors a class.
    ///
    /// # Errors
    /// As [`Memory::new`]; the prior is a memory itself.
    pub fn new(
        prior: Box<dyn Prior>,
        parameters: &Parameters,
        classes: usize,
        size: usize,
    ) -> Result<Self, PriorError> {
        let memory = Memory::new(parameters, classes, prior.dim(), size)?;
        Ok(Self { prior, memory })
    }
}

impl Prior for Remembering {
    fn dim(&self) -> usize {
        self.prior.dim()
    }

    fn class_logits(&self, z: &Tensor) -> Result<Option<Tensor>, PriorError> {
        self.prior.class_logits(z)
    }

    fn log_class_weights(&self) -> Result<Option<Tensor>, PriorError> {
        self.prior.log_class_weights()
    }

    fn log_density(&self, z: &Tensor, logits: Option<&Tensor>) -> Result<Tensor, PriorError> {
        self.prior.log_density(z, logits)
    }

    fn log_density_of_class(&self, z: &Tensor, labels: &[u32]) -> Result<Tensor, PriorError> {
        self.prior.log_density_of_class(z, labels)
    }

    fn coordinates_of_class(&self, z: &Tensor, labels: &[u32]) -> Result<Tensor, PriorError> {
        self.prior.coordinates_of_class(z, labels)
    }

    fn main_centers(&self) -> Result<Option<Tensor>, PriorError> {
        self.prior.main_centers()
    }

    fn start(
        &self,
        z: &[f32],
        labels: &[u32],
        how: Start,
        draws: &mut Draws,
    ) -> Result<bool, PriorError> {
        self.prior.start(z, labels, how, draws)
    }

    fn has_intra_classes(&self) -> bool {
        self.prior.has_intra_classes()
    }

    fn remembers(&self) -> bool {
        true
    }

    fn remember(&self, class: u32, z: &[f32], draws: &mut Draws) -> Result<(), PriorError> {
        let own = self.memory.as_image(class, z)?;
        let own = self.prior.coordinates_of_class(&own, &[class])?.flatten_all()?;
        let own = own.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.to_vec1::<f32>()?;
        self.memory.fill(class as usize, &own, draws)
    }

    fn nearness_of_class(&self, z: &Tensor, labels: &[u32]) -> Result<Option<Tensor>, PriorError> {
        let u = self.prior.coordinates_of_class(z, labels)?;
        self.memory.log_density_of_class(&u, labels).map(Some)
    }

    fn nearness_of_remembered(
        &self,
        z: &Tensor,
        labels: &[u32],
    ) -> Result<Option<Tensor>, PriorError> {
        let u = self.prior.coordinates_of_class(z, labels)?;
        self.memory.nearest_of_others(&u, labels).map(Some)
    }
}
