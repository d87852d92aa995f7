//! Composition: a bijection made of several, one after the other.

use crate::{Bijection, FlowError};
use candle_core::Tensor;

/// Bijections applied in order; log-determinants add up.
pub struct Chain(Vec<Box<dyn Bijection>>);

impl Chain {
    /// The composition of `steps`, the first applied first.
    ///
    /// # Errors
    /// None at all, or dimensions that differ.
    pub fn new(steps: Vec<Box<dyn Bijection>>) -> Result<Self, FlowError> {
        let why = match steps.first() {
            None => "a chain needs at least one bijection",
            Some(f) if steps.iter().any(|s| s.dim() != f.dim()) => "all must have one dimension",
            Some(_) => return Ok(Self(steps)),
        };
        Err(FlowError::Setting { key: "blocks", value: steps.len().to_string(), why })
    }

    /// `condition` for one step: steps without one get none, where others of the chain have one.
    fn part<'a>(&self, step: &dyn Bijection, condition: Option<&'a Tensor>) -> Option<&'a Tensor> {
        condition.filter(|_| step.condition_dim() > 0 || self.condition_dim() == 0)
    }
}

impl Bijection for Chain {
    fn dim(&self) -> usize {
        self.0[0].dim()
    }

    fn condition_dim(&self) -> usize {
        self.0.iter().map(|s| s.condition_dim()).max().unwrap_or(0)
    }

    fn forward(
        &self,
        x: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        let (mut z, mut total) = self.0[0].forward(x, self.part(&*self.0[0], condition))?;
        for step in &self.0[1..] {
            let (next, log_det) = step.forward(&z, self.part(&**step, condition))?;
            total = (total + log_det)?;
            z = next;
        }
        Ok((z, total))
    }

    fn inverse(
        &self,
        z: &Tensor,
        condition: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor), FlowError> {
        let (last, before) = self.0.split_last().expect("a chain has at least one bijection");
        let (mut x, mut total) = last.inverse(z, self.part(&**last, condition))?;
        for step in before.iter().rev() {
            let (next, log_det) = step.inverse(&x, self.part(&**step, condition))?;
            total = (total + log_det)?;
            x = next;
        }
        Ok((x, total))
    }

    fn whole_maps(&self) -> bool {
        self.0.iter().any(|s| s.whole_maps())
    }

    fn starts_from_data(&self) -> bool {
        self.0.iter().any(|s| s.starts_from_data())
    }

    fn initialize(&self, x: &Tensor, condition: Option<&Tensor>) -> Result<(), FlowError> {
        let Some(last) = self.0.iter().rposition(|s| s.starts_from_data()) else { return Ok(()) };
        let mut x = x.clone();
        for step in &self.0[..=last] {
            let condition = self.part(&**step, condition);
            step.initialize(&x, condition)?;
            x = step.forward(&x, condition)?.0;
        }
        Ok(())
    }
}
