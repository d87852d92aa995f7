//! FastFlow: couplings that see the neighbours of a position.

use crate::registry::FlowConfig;
use crate::{Bijection, Chain, ConvSubnet, CouplingBlock, CouplingConfig, FlowError, Permutation};
use hgad_parameters::Parameters;

/// `blocks` coupling blocks whose subnets are convolutions over the map, 3x3 and 1x1 in turn (Yu
/// et al., 2021, section 3.3). Permutations are `hard` where nothing else is asked, as in FrEIA's
/// block that the authors use; parameters carry its names.
///
/// # Errors
/// No blocks, no map; settings that make no coupling.
pub fn fastflow(parameters: &Parameters, c: &FlowConfig) -> Result<Chain, FlowError> {
    let config =
        CouplingConfig { permutation: c.permutation.unwrap_or(Permutation::Hard), ..c.coupling() };
    let block = |k: usize| -> Result<Box<dyn Bijection>, FlowError> {
        let scope = parameters.scope(format_args!("module_list.{k}"));
        let kernel = if k.is_multiple_of(2) { 3 } else { 1 };
        let block = CouplingBlock::with_subnet(&scope, c.dim, &config, |p, size| {
            ConvSubnet::new(p, size, kernel, c.map)
        })?;
        Ok(Box::new(block))
    };
    Chain::new((0..c.blocks).map(block).collect::<Result<_, _>>()?)
}
