//! What can go wrong in a backbone.

use std::path::PathBuf;

/// An error that names the file, key or shape at fault and the way out.
#[derive(Debug, thiserror::Error)]
pub enum BackboneError {
    /// Images of another shape.
    #[error("a backbone takes images (B, H, W, 3), got shape {found:?}")]
    Images {
        /// Shape given.
        found: Vec<usize>,
    },
    /// A name that no backbone has.
    #[error("unknown backbone `{kind}`; known: {known}")]
    Kind {
        /// The name.
        kind: String,
        /// Those that exist.
        known: String,
    },
    /// A stride that a backbone does not give.
    #[error(
        "{kind} has no feature map at stride {stride}; it has strides {known:?} (backbone.taps)"
    )]
    Tap {
        /// Backbone.
        kind: String,
        /// Stride asked.
        stride: usize,
        /// Strides there are.
        known: Vec<usize>,
    },
    /// A block that a transformer does not have.
    #[error(
        "{kind} has no block {block}; its blocks are 0 to {last}, and its last one is taken where none is named (backbone.blocks)"
    )]
    Block {
        /// Backbone.
        kind: String,
        /// Block asked.
        block: usize,
        /// The last there is.
        last: usize,
    },
    /// A name that is registered already.
    #[error(transparent)]
    Taken(#[from] hgad_registry::Taken),
    /// An option of a backbone that cannot be used.
    #[error(transparent)]
    Option(#[from] hgad_registry::OptionError),
    /// A weights file lacks a tensor, or has it in another shape.
    #[error(transparent)]
    Weight(#[from] Box<WeightMismatch>),
    /// A file that cannot be read as weights.
    #[error("cannot read the weights {}: {reason}", path.display())]
    WeightsFile {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The hub could not be reached.
    #[error(
        "the weights of {kind} are not cached and could not be downloaded ({reason}); fetch the file {file} of https://huggingface.co/{repository} on a machine with a network and give its path as backbone.weights=FILE"
    )]
    Hub {
        /// Backbone.
        kind: String,
        /// Repository on the hub.
        repository: String,
        /// File in it.
        file: &'static str,
        /// What the download said.
        reason: String,
    },
    /// A setting that makes no backbone.
    #[error("backbone setting {key} is {value}: {why}")]
    Setting {
        /// Key.
        key: &'static str,
        /// Value.
        value: String,
        /// What is wrong.
        why: &'static str,
    },
    /// From candle.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

/// A tensor that a backbone needs and a weights file does not hold.
#[derive(Debug, thiserror::Error)]
#[error("the weights {} {}; are these weights of another architecture{}?", path.display(), self.difference(), self.suspect())]
pub struct WeightMismatch {
    /// Weights file.
    pub path: PathBuf,
    /// Backbone.
    pub kind: String,
    /// Tensor.
    pub name: String,
    /// Shape in the file; `None`: the file has no such tensor.
    pub found: Option<Vec<usize>>,
    /// Shape in the architecture.
    pub expected: Vec<usize>,
    /// The architecture in the file's metadata, where it is another one.
    pub stated: Option<String>,
}

impl WeightMismatch {
    fn difference(&self) -> String {
        let Self { kind, name, found, expected, .. } = self;
        match found {
            None => {
                format!("have no tensor `{name}`, which {kind} expects with shape {expected:?}")
            }
            Some(found) => {
                format!("have `{name}` with shape {found:?}, {kind} expects {expected:?}")
            }
        }
    }

    fn suspect(&self) -> String {
        self.stated.as_ref().map(|s| format!(" (the file says `{s}`)")).unwrap_or_default()
    }
}
