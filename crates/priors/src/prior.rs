//! The interface of every density on the latent space.

use crate::PriorError;
use candle_core::Tensor;
use hgad_parameters::Draws;

/// Where the centres of a class start, for a prior that starts from data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At its clusters (k-means): where most latents are.
    Clusters,
    /// At a coreset of it (greedy k-center): rare normal latents have a centre too.
    Coreset,
}

/// A density of latent vectors. `z` is (B, P, D): P vectors of each of B images, whose classes
/// are `labels` (B). Gradients reach `z` and the parameters.
pub trait Prior: Send + Sync {
    /// Dimension D of the vectors.
    fn dim(&self) -> usize;

    /// `l_k = -½ |z - mu_k|²` for every class, (B, P, C); `None` where there are no classes.
    ///
    /// # Errors
    /// Latents of another dimension.
    fn class_logits(&self, z: &Tensor) -> std::result::Result<Option<Tensor>, PriorError>;

    /// Logarithms of the class weights, (C); `None` where there are no classes.
    ///
    /// # Errors
    /// From candle.
    fn log_class_weights(&self) -> std::result::Result<Option<Tensor>, PriorError>;

    /// Log-density whatever the class, (B, P), up to the constant; `logits` from
    /// [`Prior::class_logits`] of the same `z`, so that they are computed once.
    ///
    /// # Errors
    /// Latents of another dimension.
    fn log_density(
        &self,
        z: &Tensor,
        logits: Option<&Tensor>,
    ) -> std::result::Result<Tensor, PriorError>;

    /// Log-density given the class of each image, (B, P), up to the constant.
    ///
    /// # Errors
    /// Latents of another dimension; a label beyond the classes.
    fn log_density_of_class(
        &self,
        z: &Tensor,
        labels: &[u32],
    ) -> std::result::Result<Tensor, PriorError>;

    /// Main centres of the classes, (C, D), or one that serves them all, (1, D), to be looked at;
    /// `None` where there is nothing of the kind.
    ///
    /// # Errors
    /// From candle.
    fn main_centers(&self) -> std::result::Result<Option<Tensor>, PriorError> {
        Ok(None)
    }

    /// Places centres, deviations and weights where the latents of a sample lie, as `how` has it: `z`
    /// (N, D) row-major, each of its class in `labels` (N). Once, before a training. `false` where nothing of it starts
    /// from data.
    ///
    /// # Errors
    /// Latents of another dimension; a label beyond the classes.
    fn start(
        &self,
        z: &[f32],
        labels: &[u32],
        how: Start,
        draws: &mut Draws,
    ) -> std::result::Result<bool, PriorError> {
        let _ = (z, labels, how, draws);
        Ok(false)
    }

    /// `z` in the coordinates in which distances of each image's class are measured, (B, P, D): whitened by
    /// the class's covariance where there is one, else as they are.
    ///
    /// # Errors
    /// Latents of another dimension; a label beyond the classes.
    fn coordinates_of_class(
        &self,
        z: &Tensor,
        labels: &[u32],
    ) -> std::result::Result<Tensor, PriorError> {
        let _ = labels;
        Ok(z.clone())
    }

    /// Whether it keeps latents beside its density, which [`Prior::remember`] gives it.
    fn remembers(&self) -> bool {
        false
    }

    /// Keeps some of the latents `z` (N, D) of `class`, row-major, in place of what was kept of it: of
    /// the flow as it is now, so after training. Called class by class, so that the
    /// latents of one class are in the machine's memory and not those of all.
    ///
    /// # Errors
    /// Latents of another dimension, or none; a class beyond the classes.
    fn remember(
        &self,
        class: u32,
        z: &[f32],
        draws: &mut Draws,
    ) -> std::result::Result<(), PriorError> {
        let _ = (class, z, draws);
        Ok(())
    }

    /// How near the nearest latent is that is remembered of the class of each image,
    /// `-½ min_i |u - m_i|²` in [`Prior::coordinates_of_class`], (B, P); `None` where none are. No gradients.
    ///
    /// # Errors
    /// Latents of another dimension; a label beyond the classes.
    fn nearness_of_class(
        &self,
        z: &Tensor,
        labels: &[u32],
    ) -> std::result::Result<Option<Tensor>, PriorError> {
        let _ = (z, labels);
        Ok(None)
    }

    /// [`Prior::nearness_of_class`] of images that latents are remembered of: to those of the other images. Its own
    /// would make an image nearer than a new one can be, most of all where it is rare, for which it is remembered.
    ///
    /// # Errors
    /// As [`Prior::nearness_of_class`].
    fn nearness_of_remembered(
        &self,
        z: &Tensor,
        labels: &[u32],
    ) -> std::result::Result<Option<Tensor>, PriorError> {
        self.nearness_of_class(z, labels)
    }

    /// Whether a class has centres of its own around the main one, which a second stage trains.
    fn has_intra_classes(&self) -> bool {
        false
    }
}

/// The vectors of each class, row-major: `z` (N, D), `labels` (N).
pub(crate) fn by_class(
    z: &[f32],
    labels: &[u32],
    dim: usize,
    classes: usize,
) -> std::result::Result<Vec<Vec<f32>>, PriorError> {
    if z.len() != labels.len() * dim {
        let found = vec![z.len()];
        return Err(PriorError::Latents { dim, labels: labels.len(), found });
    }
    let mut all = vec![Vec::new(); classes];
    for (vector, &label) in z.chunks_exact(dim).zip(labels) {
        let own = all.get_mut(label as usize).ok_or(PriorError::Label { label, classes })?;
        own.extend_from_slice(vector);
    }
    Ok(all)
}

/// Checks `z` (B, P, D) and the labels (B), and gives (B, P).
pub(crate) fn check(
    z: &Tensor,
    dim: usize,
    labels: Option<(&[u32], usize)>,
) -> std::result::Result<(usize, usize), PriorError> {
    let wrong = |n| PriorError::Latents { dim, labels: n, found: z.dims().to_vec() };
    let n = labels.map_or(z.dims().first().copied().unwrap_or(0), |(l, _)| l.len());
    let (b, p, d) = z.dims3().map_err(|_| wrong(n))?;
    if d != dim || b != n {
        return Err(wrong(n));
    }
    if let Some((labels, classes)) = labels
        && let Some(&label) = labels.iter().find(|l| **l as usize >= classes)
    {
        return Err(PriorError::Label { label, classes });
    }
    Ok((b, p))
}
