//! What can go wrong in a prior.

use hgad_parameters::ParameterError;

/// An error that names the shape or setting at fault.
#[derive(Debug, thiserror::Error)]
pub enum PriorError {
    /// Latents of another shape.
    #[error("the prior expects latents (B, P, {dim}) of {labels} images, got shape {found:?}")]
    Latents {
        /// Dimension of the prior.
        dim: usize,
        /// Labels given.
        labels: usize,
        /// Shape given.
        found: Vec<usize>,
    },
    /// A class index beyond the number of classes.
    #[error("class index {label} where the prior has {classes} classes")]
    Label {
        /// The index.
        label: u32,
        /// Classes.
        classes: usize,
    },
    /// A name that no prior has.
    #[error("unknown prior `{kind}`; known: {known}")]
    Kind {
        /// The name.
        kind: String,
        /// Those that exist.
        known: String,
    },
    /// A setting that makes no prior.
    #[error("prior setting `{key}` is {value}: {why}")]
    Setting {
        /// Name of the setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is wrong.
        why: &'static str,
    },
    /// A name that is registered already.
    #[error(transparent)]
    Taken(#[from] hgad_registry::Taken),
    /// An option of a prior that cannot be used.
    #[error(transparent)]
    Option(#[from] hgad_registry::OptionError),
    /// From the parameters.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// From candle.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
