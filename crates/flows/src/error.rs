//! What can go wrong in a flow.

use hgad_parameters::ParameterError;

/// An error that names the shape or setting at fault.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// Vectors of another dimension.
    #[error("the flow maps vectors (N, {expected}), got a tensor of shape {found:?}")]
    Input {
        /// Dimension of the flow.
        expected: usize,
        /// Shape given.
        found: Vec<usize>,
    },
    /// A condition that does not fit, is missing or is not wanted.
    #[error("the flow expects a condition {expected}, got {found} for {rows} vectors")]
    Condition {
        /// What the flow wants, in words.
        expected: String,
        /// What it got, in words.
        found: String,
        /// N.
        rows: usize,
    },
    /// A setting that makes no flow.
    #[error("flow setting `{key}` is {value}: {why}")]
    Setting {
        /// Name of the setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Vectors that do not make up whole maps, for a flow that looks at neighbours.
    #[error(
        "the flow maps whole maps of {height} x {width} positions, got {rows} vectors, which is no multiple of {}; give it all positions of each image", height * width
    )]
    Map {
        /// Rows of a map.
        height: usize,
        /// Columns of a map.
        width: usize,
        /// Vectors given.
        rows: usize,
    },
    /// A name that no flow has.
    #[error("unknown flow `{kind}`; known: {known}")]
    Kind {
        /// The name.
        kind: String,
        /// Those that exist.
        known: String,
    },
    /// A name that is registered already.
    #[error(transparent)]
    Taken(#[from] hgad_registry::Taken),
    /// An option of a flow that cannot be used.
    #[error(transparent)]
    Option(#[from] hgad_registry::OptionError),
    /// From the parameters.
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    /// From candle.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
