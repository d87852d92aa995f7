//! Glow: normalization, a learned matrix, an affine coupling.

use crate::realnvp::affine_coupling;
use crate::registry::FlowConfig;
use crate::{ActNorm, Bijection, Chain, FlowError, LastLayer, Permutation};
use hgad_parameters::Parameters;

/// `blocks` times actnorm, an invertible matrix and an affine coupling (Kingma and Dhariwal,
/// NeurIPS 2018, table 1). Couplings start as the identity; the matrix is `lu` where nothing else is
/// asked.
///
/// # Errors
/// No blocks; settings that make no coupling.
pub fn glow(parameters: &Parameters, c: &FlowConfig) -> Result<Chain, FlowError> {
    let mut steps: Vec<Box<dyn Bijection>> = Vec::new();
    for k in 0..c.blocks {
        let scope = parameters.scope(format_args!("blocks.{k}"));
        steps.push(Box::new(ActNorm::new(&scope.scope("actnorm"), c.dim, c.actnorm)?));
        steps.push(c.mixing(&scope, Permutation::Lu)?);
        let coupling = affine_coupling(&scope, c, |n| LastLayer::Constant(vec![0.0; n]))?;
        steps.push(Box::new(coupling));
    }
    Chain::new(steps)
}
