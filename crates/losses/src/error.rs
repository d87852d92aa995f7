//! What can go wrong in a loss.

use hgad_priors::PriorError;

/// An error that names the shape or setting at fault.
#[derive(Debug, thiserror::Error)]
pub enum LossError {
    /// Log-determinants of another shape than the latents.
    #[error("latents have shape {latents:?} but log-determinants {log_det:?}, expected (B, P)")]
    LogDet {
        /// Shape of the latents.
        latents: Vec<usize>,
        /// Shape of the log-determinants.
        log_det: Vec<usize>,
    },
    /// A term that the prior cannot serve.
    #[error("the loss term `{term}` needs a prior {needs}; this one has none")]
    Prior {
        /// Name of the term.
        term: &'static str,
        /// What it needs.
        needs: &'static str,
    },
    /// A setting that makes no loss.
    #[error("loss setting `{key}` is {value}: {why}")]
    Setting {
        /// Name of the setting.
        key: &'static str,
        /// Its value.
        value: f64,
        /// What is wrong.
        why: &'static str,
    },
    /// A name that no term has.
    #[error("unknown loss term `{kind}`; known: {known}")]
    Kind {
        /// The name.
        kind: String,
        /// Those that exist.
        known: String,
    },
    /// A name that is registered already.
    #[error(transparent)]
    Taken(#[from] hgad_registry::Taken),
    /// From the prior.
    #[error(transparent)]
    Density(#[from] PriorError),
    /// From candle.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
