//! Neural spline flow: Glow's blocks with couplings by splines.

use crate::registry::FlowConfig;
use crate::{ActNorm, Bijection, Chain, FlowError, Permutation, Spline, SplineCoupling};
use hgad_parameters::Parameters;

/// `blocks` times actnorm, an invertible matrix and a coupling by splines (Durkan et al., NeurIPS
/// 2019, section 5.2). A spline moves nothing outside its bound, so scale comes from the first
/// two. Couplings start as the identity; the matrix is `lu` where nothing else is asked.
///
/// # Errors
/// No blocks; settings that make no coupling.
pub fn spline_flow(parameters: &Parameters, c: &FlowConfig) -> Result<Chain, FlowError> {
    let spline = Spline::new(c.bins, c.tail_bound)?;
    let mut steps: Vec<Box<dyn Bijection>> = Vec::new();
    for k in 0..c.blocks {
        let scope = parameters.scope(format_args!("blocks.{k}"));
        steps.push(Box::new(ActNorm::new(&scope.scope("actnorm"), c.dim, c.actnorm)?));
        steps.push(c.mixing(&scope, Permutation::Lu)?);
        let subnet = scope.scope("subnet");
        let coupling = SplineCoupling::new(&subnet, c.dim, c.condition, c.hidden_factor, spline)?;
        steps.push(Box::new(coupling));
    }
    Chain::new(steps)
}
