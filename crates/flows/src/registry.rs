//! Flows by name.

use crate::{
    ActNormStart, Bijection, CouplingConfig, FlowError, Identity, Permutation, coupling_chain,
    fastflow, glow, nice, realnvp, spline_flow,
};
use hgad_parameters::Parameters;
use hgad_registry::{Options, Registry};

/// Settings that flows are made from; each takes what it needs.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowConfig {
    /// Name in the registry.
    pub kind: String,
    /// Dimension D of the vectors.
    pub dim: usize,
    /// Couplings in a row, with what comes with each.
    pub blocks: usize,
    /// Channels K of the condition, 0 for none.
    pub condition: usize,
    /// Bound of an affine coupling's log-scale.
    pub clamp: f64,
    /// Width of a subnet's hidden layer, in multiples of its input.
    pub hidden_factor: usize,
    /// Rows and columns of a map, for a flow over whole maps.
    pub map: (usize, usize),
    /// What mixes the entries between couplings; none: what the kind has by itself.
    pub permutation: Option<Permutation>,
    /// Learned reflections of [`Permutation::Householder`].
    pub reflections: usize,
    /// Where normalizations start (glow, spline).
    pub actnorm: ActNormStart,
    /// Where the global affine map of a block starts (coupling, fastflow).
    pub affine: ActNormStart,
    /// Bins of a spline.
    pub bins: usize,
    /// A spline is the identity outside of `[-tail_bound, tail_bound]`.
    pub tail_bound: f64,
    /// What only a flow of another crate knows.
    pub options: Options,
}

impl Default for FlowConfig {
    /// The paper's, of no size yet.
    fn default() -> Self {
        let coupling = CouplingConfig::default();
        Self {
            kind: "coupling".into(),
            dim: 0,
            blocks: 12,
            condition: coupling.condition,
            clamp: coupling.clamp,
            hidden_factor: coupling.hidden_factor,
            map: (1, 1),
            permutation: None,
            reflections: coupling.reflections,
            actnorm: ActNormStart::Data,
            affine: coupling.affine,
            bins: 8,
            tail_bound: 3.0,
            options: Options::default(),
        }
    }
}

impl FlowConfig {
    /// The settings of a coupling block.
    pub(crate) fn coupling(&self) -> CouplingConfig {
        CouplingConfig {
            condition: self.condition,
            clamp: self.clamp,
            hidden_factor: self.hidden_factor,
            permutation: self.permutation.unwrap_or(Permutation::Soft),
            reflections: self.reflections,
            affine: self.affine,
        }
    }

    /// What mixes the entries in the block of `scope`, `usual` where the settings leave it open.
    pub(crate) fn mixing(
        &self,
        scope: &Parameters,
        usual: Permutation,
    ) -> Result<Box<dyn Bijection>, FlowError> {
        let kind = self.permutation.unwrap_or(usual);
        Ok(kind.build(&scope.scope("permutation"), self.dim, self.reflections)?)
    }
}

/// Makes a flow with parameters in the first argument.
pub type Constructor = fn(&Parameters, &FlowConfig) -> Result<Box<dyn Bijection>, FlowError>;

/// One line a flow.
static REGISTRY: Registry<Constructor> = Registry::new(&[
    ("coupling", |p, c| Ok(Box::new(coupling_chain(p, c.dim, c.blocks, &own(c)?.coupling())?))),
    ("nice", |p, c| Ok(Box::new(nice(p, own(c)?)?))),
    ("realnvp", |p, c| Ok(Box::new(realnvp(p, own(c)?)?))),
    ("glow", |p, c| Ok(Box::new(glow(p, own(c)?)?))),
    ("spline", |p, c| Ok(Box::new(spline_flow(p, own(c)?)?))),
    ("fastflow", |p, c| Ok(Box::new(fastflow(p, own(c)?)?))),
    ("identity", |_, c| Ok(Box::new(Identity::new(own(c)?.dim)))),
]);

/// Those above have no options.
fn own(config: &FlowConfig) -> Result<&FlowConfig, FlowError> {
    config.options.only(&config.kind, &[])?;
    Ok(config)
}

/// The names that [`build`] knows.
pub fn kinds() -> Vec<String> {
    REGISTRY.names()
}

/// Adds a flow of another crate, for [`build`] to find from then on in this process.
///
/// # Errors
/// The name is taken.
pub fn register(name: &str, constructor: Constructor) -> Result<(), FlowError> {
    Ok(REGISTRY.register(name, constructor)?)
}

/// The flow that `config.kind` names.
///
/// # Errors
/// An unknown name; a setting that makes no flow.
pub fn build(
    parameters: &Parameters,
    config: &FlowConfig,
) -> Result<Box<dyn Bijection>, FlowError> {
    match REGISTRY.get(&config.kind) {
        Some(constructor) => constructor(parameters, config),
        None => Err(FlowError::Kind { kind: config.kind.clone(), known: kinds().join(", ") }),
    }
}
