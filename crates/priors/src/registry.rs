//! Priors by name.

use crate::{GaussianMixture, HierarchicalMixture, Prior, PriorError, SingleGaussian};
use hgad_parameters::Parameters;

/// Settings that priors are made from; each takes what it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct PriorConfig {
    /// Name in the registry.
    pub kind: String,
    /// Number C of classes.
    pub classes: usize,
    /// Dimension D of the latents.
    pub dim: usize,
    /// Centres M in a class.
    pub centers: usize,
    /// Whether the main centres are trained.
    pub learned: bool,
}

type Constructor = fn(&Parameters, &PriorConfig) -> Result<Box<dyn Prior>, PriorError>;

/// One line a prior.
const REGISTRY: &[(&str, Constructor)] = &[
    ("single", |_, c| Ok(Box::new(SingleGaussian::new(c.dim)))),
    ("mixture", |p, c| Ok(Box::new(GaussianMixture::new(p, c.classes, c.dim, c.learned)?))),
    ("hierarchical", |p, c| {
        Ok(Box::new(HierarchicalMixture::new(p, c.classes, c.dim, c.centers)?))
    }),
];

/// The names that [`build`] knows.
pub fn kinds() -> impl Iterator<Item = &'static str> {
    REGISTRY.iter().map(|(name, _)| *name)
}

/// The prior that `config.kind` names.
///
/// # Errors
/// An unknown name; a setting that makes no prior.
pub fn build(parameters: &Parameters, config: &PriorConfig) -> Result<Box<dyn Prior>, PriorError> {
    match REGISTRY.iter().find(|(name, _)| *name == config.kind) {
        Some((_, constructor)) => constructor(parameters, config),
        None => Err(PriorError::Kind {
            kind: config.kind.clone(),
            known: kinds().collect::<Vec<_>>().join(", "),
        }),
    }
}
