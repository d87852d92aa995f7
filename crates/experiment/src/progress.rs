//! What an experiment tells while it runs. The terminal is somebody else's.

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
        /// The state in a few words, such as losses and rate.
        state: &'a str,
    },
    /// It is finished.
    End,
    /// A pass of training ended.
    Pass(&'a crate::metrics_log::PassRecord),
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
