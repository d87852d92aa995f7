//! What an experiment tells while it runs. The terminal is somebody else's.

use crate::metrics_log::PassRecord;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A line for people.
    Note(&'a str),
    /// A warning for people.
    Warning(&'a str),
    /// A piece of work of `total` units begins.
    Begin {
        /// What is done, such as `features of 240 training images`.
        what: &'a str,
        /// How many units.
        total: u64,
        /// What a unit is, such as `images`.
        unit: &'static str,
    },
    /// `done` units of it are finished.
    Advance {
        /// So far.
        done: u64,
        /// The state in a few words, such as the name of a class.
        state: &'a str,
    },
    /// It is finished; a pass too.
    End,
    /// A pass of training begins.
    BeginPass(PassPlace),
    /// A step of it is done.
    Step(StepRecord<'a>),
    /// A pass of training ended, with the evaluation that followed it.
    Pass(&'a PassRecord),
    /// The same of one run of several.
    Of {
        /// Which, such as `hierarchical, seed 0`.
        run: &'a str,
        /// Whether it has the process for itself: then what it tells comes in order.
        alone: bool,
        /// What happened to it.
        event: &'a Event<'a>,
    },
}

/// Which pass of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassPlace {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Epochs in the whole run.
    pub epochs: usize,
    /// Pass over the whole run, from 1.
    pub pass: usize,
    /// Passes in the whole run.
    pub passes: usize,
    /// Images in the pass.
    pub images: u64,
}

/// Where training is within a pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepRecord<'a> {
    /// Images of the pass so far.
    pub images: u64,
    /// Mean total loss over the steps of the pass so far and levels.
    pub loss: f64,
    /// Mean of each term, likewise, before its weight.
    pub terms: &'a [(&'static str, f64)],
    /// Learning rate of the step.
    pub rate: f64,
}

/// Receives events.
pub trait Observer: Send + Sync {
    /// Called from the thread that runs the experiment, or from a worker.
    fn event(&self, event: Event);
}

/// Hears nothing.
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _: Event) {}
}
