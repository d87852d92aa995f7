//! A step of all levels of a model.

use crate::error::ExperimentError;
use crate::optimizer::{Adam, AdamSettings};
use crate::step::{LevelBatch, PendingLoss, Step};
use std::ops::Range;
use std::thread;

/// What one level of a step needs.
pub struct LevelStep<'a> {
    /// Flow, prior and loss.
    pub step: Step<'a>,
    /// Maps and classes.
    pub batch: LevelBatch<'a>,
    /// Positions of the maps that it looks at.
    pub positions: Range<usize>,
    /// The level's optimizer.
    pub adam: &'a mut Adam,
}

impl LevelStep<'_> {
    fn run(&mut self, rate: f64, settings: &AdamSettings) -> Result<PendingLoss, ExperimentError> {
        self.step.run(&self.batch, self.positions.clone(), self.adam, rate, settings)
    }
}

/// Gradients and an optimizer step of every level, and their losses in the same order. On CUDA each level is
/// started by a thread of its own, as its kernels run on a stream of its own: what starts hundreds of small ones is
/// otherwise what waits. Elsewhere a level has all threads, and one comes after the other.
///
/// # Errors
/// As [`Step::run`], of the first level that failed; the others have made their step.
pub fn step_levels(
    mut levels: Vec<LevelStep>,
    rate: f64,
    settings: &AdamSettings,
) -> Result<Vec<PendingLoss>, ExperimentError> {
    let apart = levels.len() > 1 && levels.iter().all(|l| l.step.level.device().is_cuda());
    if !apart {
        return levels.iter_mut().map(|level| level.run(rate, settings)).collect();
    }
    thread::scope(|scope| {
        let start = |level| scope.spawn(|| LevelStep::run(level, rate, settings));
        let started: Vec<_> = levels.iter_mut().map(start).collect();
        let end = |t: thread::ScopedJoinHandle<_>| {
            t.join().unwrap_or_else(|e| std::panic::resume_unwind(e))
        };
        started.into_iter().map(end).collect()
    })
}
