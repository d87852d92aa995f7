//! Real NVP: affine couplings.

use crate::registry::FlowConfig;
use crate::{
    AffineCoupling, Bijection, Chain, DenseSubnet, FlowError, LastLayer, Permutation, SubnetSize,
    check,
};
use hgad_parameters::Parameters;

/// `blocks` times an affine coupling and a permutation (Dinh et al., ICLR 2017), without their
/// batch normalization. Couplings start as PyTorch's layers do, permutations are `hard` where
/// nothing else is asked.
///
/// # Errors
/// No blocks; settings that make no coupling.
pub fn realnvp(parameters: &Parameters, c: &FlowConfig) -> Result<Chain, FlowError> {
    let mut steps: Vec<Box<dyn Bijection>> = Vec::new();
    for k in 0..c.blocks {
        let scope = parameters.scope(format_args!("blocks.{k}"));
        steps.push(Box::new(affine_coupling(&scope, c, |_| LastLayer::Drawn)?));
        steps.push(c.mixing(&scope, Permutation::Hard)?);
    }
    Chain::new(steps)
}

/// One with a dense subnet, whose last layer starts as `last` says of its output's length.
pub(crate) fn affine_coupling(
    scope: &Parameters,
    c: &FlowConfig,
    last: fn(usize) -> LastLayer,
) -> Result<AffineCoupling<DenseSubnet>, FlowError> {
    let (input, half) = check::split(c.dim)?;
    let (condition, hidden_factor) = (c.condition, c.hidden_factor);
    let size = SubnetSize { input, condition, hidden_factor, output: 2 * half };
    let subnet = DenseSubnet::new(&scope.scope("subnet"), &size, last(size.output))?;
    AffineCoupling::new(c.dim, c.clamp, subnet)
}
