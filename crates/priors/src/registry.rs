//! Priors by name.

use crate::{
    GaussianMixture, HierarchicalMixture, Learned, Memory, Prior, PriorError, Remembering,
    SingleGaussian, Spread,
};
use hgad_parameters::Parameters;
use hgad_registry::{Options, Registry};

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
    /// Latents of each class that are kept beside the density, 0 for none: [`Remembering`].
    pub memory: usize,
    /// What is trained.
    pub learned: Learned,
    /// What only a prior of another crate knows.
    pub options: Options,
}

impl Default for PriorConfig {
    /// The paper's, of no size yet.
    fn default() -> Self {
        Self {
            kind: "hierarchical".into(),
            classes: 0,
            dim: 0,
            centers: 10,
            memory: 0,
            learned: Learned::default(),
            options: Options::default(),
        }
    }
}

/// Makes a prior with parameters in the first argument.
pub type Constructor = fn(&Parameters, &PriorConfig) -> Result<Box<dyn Prior>, PriorError>;

/// One line a prior.
static REGISTRY: Registry<Constructor> = Registry::new(&[
    ("single", |p, c| Ok(Box::new(SingleGaussian::new(p, c.dim, own(c)?)?))),
    ("mixture", |p, c| {
        own(c)?;
        Ok(Box::new(GaussianMixture::new(p, c.classes, c.dim, c.learned)?))
    }),
    ("hierarchical", |p, c| {
        own(c)?;
        Ok(Box::new(HierarchicalMixture::new(p, c.classes, c.dim, c.centers, c.learned)?))
    }),
    ("memory", |p, c| {
        own(c)?;
        Ok(Box::new(Memory::new(p, c.classes, c.dim, c.centers)?))
    }),
]);

/// Those above have no options; their spread.
fn own(config: &PriorConfig) -> Result<Spread, PriorError> {
    config.options.only(&config.kind, &[])?;
    Ok(config.learned.spread)
}

/// The names that [`build`] knows.
pub fn kinds() -> Vec<String> {
    REGISTRY.names()
}

/// Adds a prior of another crate, for [`build`] to find from then on in this process.
///
/// # Errors
/// The name is taken.
pub fn register(name: &str, constructor: Constructor) -> Result<(), PriorError> {
    Ok(REGISTRY.register(name, constructor)?)
}

/// The prior that `config.kind` names.
///
/// # Errors
/// An unknown name; a setting that makes no prior.
pub fn build(parameters: &Parameters, config: &PriorConfig) -> Result<Box<dyn Prior>, PriorError> {
    let Some(constructor) = REGISTRY.get(&config.kind) else {
        return Err(PriorError::Kind { kind: config.kind.clone(), known: kinds().join(", ") });
    };
    let prior = constructor(parameters, config)?;
    Ok(match config.memory {
        0 => prior,
        size => Box::new(Remembering::new(prior, parameters, config.classes, size)?),
    })
}
