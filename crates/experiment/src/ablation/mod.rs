//! Ablations: one experiment in several variants, each with several seeds, and the table that
//! compares them.
//!
//! [`Spec`] is the file, [`Plan`] the runs it asks for, [`run`] runs what is not there yet,
//! [`Summary`] is the table, which [`text`] and [`figure`] write.

pub mod figure;
mod memory;
mod plan;
mod queue;
mod spec;
mod summary;
pub mod text;

pub use plan::{Plan, PlannedRun, Request};
pub use queue::{Options, run};
pub use spec::{Spec, Variant};
pub use summary::{Row, Summary};
