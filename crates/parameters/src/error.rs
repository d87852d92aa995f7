//! What can go wrong with named parameters.

/// An error that names the parameter at fault.
#[derive(Debug, thiserror::Error)]
pub enum ParameterError {
    /// Two parameters of one name.
    #[error("parameter `{name}` is made twice; give each a name or a scope of its own")]
    Taken {
        /// Full name.
        name: String,
    },
    /// A start that does not fill its shape.
    #[error("parameter `{name}` has shape {shape:?} but its start has {found} elements")]
    Start {
        /// Full name.
        name: String,
        /// Elements given.
        found: usize,
        /// Shape asked.
        shape: Vec<usize>,
    },
    /// A weights file lacks it.
    #[error(
        "parameter `{name}` is not among the weights; were they saved from another model or configuration?"
    )]
    Missing {
        /// Full name.
        name: String,
    },
    /// A weights file has it in another shape.
    #[error(
        "parameter `{name}` has shape {found:?} among the weights, the model expects {expected:?}; were they saved from another configuration?"
    )]
    Shape {
        /// Full name.
        name: String,
        /// Among the weights.
        found: Vec<usize>,
        /// In the model.
        expected: Vec<usize>,
    },
    /// From candle.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}
