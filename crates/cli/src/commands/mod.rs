//! One file a command.

pub mod ablation;
pub mod backbones;
pub mod bench;
pub mod cache;
pub mod compare;
pub mod config;
pub mod datasets;
pub mod evaluate;
pub mod experiment;
pub mod experiments;
pub mod export;
pub mod import;
pub mod predict;
pub mod report;
#[cfg(feature = "serve")]
pub mod serve;

use std::process::ExitCode;

/// How a command ends.
pub type Outcome = Result<ExitCode, crate::failure::Failure>;
