//! NICE: additive couplings, and a gain an entry at the end.

use crate::registry::FlowConfig;
use crate::{
    AdditiveCoupling, Bijection, Chain, DenseSubnet, FlowError, LastLayer, Permutation, Scaling,
    SubnetSize, check,
};
use hgad_parameters::Parameters;

/// `blocks` times an additive coupling and a permutation, then a scaling (Dinh et al., 2014): the
/// volume changes alike everywhere. Couplings start as PyTorch's layers do, permutations are `hard`
/// where nothing else is asked.
///
/// # Errors
/// No blocks; settings that make no coupling.
pub fn nice(parameters: &Parameters, c: &FlowConfig) -> Result<Chain, FlowError> {
    let (input, output) = check::split(c.dim)?;
    let (condition, hidden_factor) = (c.condition, c.hidden_factor);
    let size = SubnetSize { input, condition, hidden_factor, output };
    let mut steps: Vec<Box<dyn Bijection>> = Vec::new();
    for k in 0..c.blocks {
        let scope = parameters.scope(format_args!("blocks.{k}"));
        let subnet = DenseSubnet::new(&scope.scope("subnet"), &size, LastLayer::Drawn)?;
        steps.push(Box::new(AdditiveCoupling::new(c.dim, subnet)?));
        steps.push(c.mixing(&scope, Permutation::Hard)?);
    }
    check::at_least("blocks", c.blocks, 1, "expected at least 1")?;
    steps.push(Box::new(Scaling::new(&parameters.scope("scaling"), c.dim)?));
    Chain::new(steps)
}
