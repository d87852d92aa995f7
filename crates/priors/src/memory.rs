//! A memory of normal vectors a class: the distance to the nearest is what is unlikely (PatchCore).

use crate::coreset::coreset;
use crate::prior::{by_class, check};
use crate::{Prior, PriorError, Start};
use candle_core::{D, DType, Tensor};
use hgad_kernels::nearest_logit;
use hgad_parameters::{Draws, Parameters, Weight};

/// Half the squared distance per dimension below which a vector is the same latent, made once more: rounding is
/// a thousand times smaller, another position's latent a hundred times farther.
const SAME: f32 = 1e-3;

/// M vectors a class, a coreset of a sample (Roth et al., PatchCore, CVPR 2022). Its "density" is
/// `-½ min_i |z - m_i|²`, up to a constant that is left out: a nearest-neighbour score where the others
/// have a likelihood. Nothing of it is trained.
pub struct Memory {
    dim: usize,
    classes: usize,
    /// (C, M, D).
    vectors: Weight,
}

impl Memory {
    /// The fixed parameter `memory` (C, M, D), zeros until [`Prior::start`] fills it.
    ///
    /// # Errors
    /// No classes, no dimensions, no room for a vector.
    pub fn new(
        parameters: &Parameters,
        classes: usize,
        dim: usize,
        size: usize,
    ) -> Result<Self, PriorError> {
        if classes == 0 || dim == 0 || size == 0 {
            let why = "a memory holds at least one vector of at least one class and dimension";
            return Err(PriorError::Setting { key: "centers", value: size.to_string(), why });
        }
        let start = vec![0.0; classes * size * dim];
        let vectors = parameters.fixed("memory", (classes, size, dim), start)?;
        Ok(Self { dim, classes, vectors })
    }

    /// Latents (N, D) of `class` as its vectors are: their type, on their device, as one image (1, N, D).
    ///
    /// # Errors
    /// Numbers that are no latents of dimension D; a class beyond the classes.
    pub(crate) fn as_image(&self, class: u32, z: &[f32]) -> Result<Tensor, PriorError> {
        let (vectors, count) = (self.vectors.get(), z.len() / self.dim);
        let z = Tensor::from_slice(z, (1, count, self.dim), vectors.device())?;
        check(&z, self.dim, Some((&[class], self.classes)))?;
        Ok(z.to_dtype(vectors.dtype())?)
    }

    /// Fills the memory of `class` with a coreset of latents `own` (N, D), row-major, N > 0.
    ///
    /// # Errors
    /// No latents.
    pub(crate) fn fill(
        &self,
        class: usize,
        own: &[f32],
        draws: &mut Draws,
    ) -> Result<(), PriorError> {
        if own.is_empty() {
            let why = "every class needs a normal image to be remembered";
            return Err(PriorError::Setting { key: "memory", value: class.to_string(), why });
        }
        let vectors = self.vectors.get();
        let (dim, size) = (self.dim, vectors.dim(1)?);
        let chosen = coreset(own, dim, size, draws)?;
        let kept: Vec<f32> =
            chosen.iter().flat_map(|i| own[i * dim..(i + 1) * dim].iter().copied()).collect();
        let kept = Tensor::from_vec(kept, (1, size, dim), vectors.device())?;
        let kept = kept.to_dtype(vectors.dtype())?;
        self.vectors.set(&vectors.slice_assign(&[class..class + 1, 0..size, 0..dim], &kept)?)?;
        Ok(())
    }

    /// `-½` the squared distance of each of `z` (P, D) to the nearest vector of `class`, (P).
    fn nearest(&self, z: &Tensor, class: usize) -> Result<Tensor, PriorError> {
        let memory = self.vectors.get().get(class)?.contiguous()?;
        Ok(nearest_logit(z, &memory)?)
    }

    /// The same of whole images `z` (B, P, D) of classes `labels` (B), to the vectors of the class that are not
    /// latents of the image itself; (B, P). Where all are, to all.
    pub(crate) fn nearest_of_others(
        &self,
        z: &Tensor,
        labels: &[u32],
    ) -> Result<Tensor, PriorError> {
        check(z, self.dim, Some((labels, self.classes)))?;
        let of = |(i, label): (usize, &u32)| {
            let (own, class) = (z.get(i)?.contiguous()?, *label as usize);
            let memory = self.vectors.get().get(class)?.contiguous()?;
            let nearness = nearest_logit(&memory, &own)?.to_dtype(DType::F32)?;
            let others: Vec<u32> = nearness
                .to_vec1::<f32>()?
                .iter()
                .zip(0..)
                .filter_map(|(n, i)| (-n > SAME * self.dim as f32).then_some(i))
                .collect();
            if others.is_empty() || others.len() == memory.dim(0)? {
                return Ok(nearest_logit(&own, &memory)?);
            }
            let others = Tensor::from_slice(&others, others.len(), memory.device())?;
            Ok(nearest_logit(&own, &memory.index_select(&others, 0)?)?)
        };
        let all = labels.iter().enumerate().map(of).collect::<Result<Vec<_>, PriorError>>()?;
        Ok(Tensor::stack(&all, 0)?)
    }
}

impl Prior for Memory {
    fn dim(&self) -> usize {
        self.dim
    }

    fn class_logits(&self, z: &Tensor) -> Result<Option<Tensor>, PriorError> {
        let (b, p) = check(z, self.dim, None)?;
        let z = z.reshape((b * p, self.dim))?;
        let all = (0..self.classes).map(|c| self.nearest(&z, c)).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Tensor::stack(&all, 1)?.reshape((b, p, self.classes))?))
    }

    fn log_class_weights(&self) -> Result<Option<Tensor>, PriorError> {
        let vectors = self.vectors.get();
        let alike = Tensor::zeros(self.classes, vectors.dtype(), vectors.device())?;
        Ok(Some((alike - (self.classes as f64).ln())?))
    }

    fn log_density(&self, z: &Tensor, logits: Option<&Tensor>) -> Result<Tensor, PriorError> {
        let own = match logits {
            Some(_) => None,
            None => self.class_logits(z)?,
        };
        let logits = logits.or(own.as_ref()).expect("it has classes");
        Ok(logits.max(D::Minus1)?)
    }

    fn log_density_of_class(&self, z: &Tensor, labels: &[u32]) -> Result<Tensor, PriorError> {
        check(z, self.dim, Some((labels, self.classes)))?;
        let of = |(i, label): (usize, &u32)| self.nearest(&z.get(i)?, *label as usize);
        let all = labels.iter().enumerate().map(of).collect::<Result<Vec<_>, PriorError>>()?;
        Ok(Tensor::stack(&all, 0)?)
    }

    /// Fills the memory of each class with a coreset of its latents, whatever the start asked for.
    fn start(
        &self,
        z: &[f32],
        labels: &[u32],
        _: Start,
        draws: &mut Draws,
    ) -> Result<bool, PriorError> {
        for (class, own) in by_class(z, labels, self.dim, self.classes)?.iter().enumerate() {
            self.fill(class, own, draws)?;
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;
    use hgad_parameters::seeded;

    fn filled(size: usize) -> (Memory, Vec<f32>, Vec<u32>) {
        let parameters = Parameters::new(0, DType::F32, &Device::Cpu);
        let memory = Memory::new(&parameters, 2, 3, size).unwrap();
        let mut draws = seeded(1, "memory");
        let z: Vec<f32> = (0..240)
            .map(|i| (draws.normal() + if i / 3 % 2 == 1 { 8.0 } else { 0.0 }) as f32)
            .collect();
        let labels: Vec<u32> = (0..80).map(|i| i % 2).collect();
        assert!(memory.start(&z, &labels, Start::Coreset, &mut draws).unwrap());
        (memory, z, labels)
    }

    #[test]
    fn an_image_that_is_remembered_is_measured_by_the_others() {
        let (memory, z, _) = filled(40);
        // The latents of class 0 as of two images: 20 each, all of them remembered.
        let own: Vec<f32> = z.chunks_exact(6).flat_map(|pair| pair[..3].to_vec()).collect();
        let images = Tensor::from_slice(&own, (2, 20, 3), &Device::Cpu).unwrap();
        // As another pass of the flow gives them: equal but for rounding.
        let again = (&images * (1.0 + 1e-6)).unwrap();
        let got = memory.nearest_of_others(&again, &[0, 0]).unwrap();
        let got = got.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (i, got) in got.iter().enumerate() {
            let square = |j: usize| -> f32 {
                (0..3).map(|k| (own[i * 3 + k] - own[j * 3 + k]).powi(2)).sum()
            };
            let others = (0..40).filter(|j| j / 20 != i / 20).map(square);
            let expected = -0.5 * others.fold(f32::INFINITY, f32::min);
            assert!((got - expected).abs() < 1e-3, "{i}: {got} {expected}");
        }
        // A new image is measured by all, and so is one that everything remembered is of.
        let plain = |z: &Tensor, labels: &[u32]| {
            let alike = memory.log_density_of_class(z, labels).unwrap();
            let others = memory.nearest_of_others(z, labels).unwrap();
            let worst = (alike - others).unwrap().abs().unwrap().flatten_all().unwrap();
            worst.max(0).unwrap().to_scalar::<f32>().unwrap()
        };
        assert_eq!(plain(&(&images + 0.5).unwrap(), &[0, 0]), 0.0);
        assert_eq!(plain(&images.reshape((1, 40, 3)).unwrap(), &[0]), 0.0);
    }

    #[test]
    fn a_memory_of_all_finds_each_and_measures_the_nearest_of_its_class() {
        let (memory, z, labels) = filled(40);
        let latents = Tensor::from_slice(&z, (80, 1, 3), &Device::Cpu).unwrap();
        let own = memory.log_density_of_class(&latents, &labels).unwrap();
        let own = own.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(own.iter().all(|v| v.abs() < 1e-3), "{own:?}");
        let other: Vec<u32> = labels.iter().map(|l| 1 - l).collect();
        let got = memory.log_density_of_class(&latents, &other).unwrap();
        let got = got.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for i in [0, 1, 33] {
            let square =
                |j: usize| -> f32 { (0..3).map(|k| (z[i * 3 + k] - z[j * 3 + k]).powi(2)).sum() };
            let nearest = (0..80).filter(|j| labels[*j] != labels[i]).map(square);
            let expected = -0.5 * nearest.fold(f32::INFINITY, f32::min);
            assert!((got[i] - expected).abs() < 1e-3 * expected.abs(), "{} {expected}", got[i]);
        }
        let logits = memory.class_logits(&latents).unwrap().unwrap();
        let best = logits.argmax(D::Minus1).unwrap().flatten_all().unwrap();
        assert_eq!(best.to_vec1::<u32>().unwrap(), labels);
    }
}
