use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// Why a data set, or one of its files, cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// No folder of the data set was found.
    #[error("{0}")]
    RootMissing(Box<MissingRoot>),
    /// No data set of this name is known.
    #[error("unknown data set `{name}`: expected one of {}", known.join(", "))]
    UnknownDataset {
        /// The name asked for.
        name: String,
        /// Names that exist.
        known: Vec<String>,
    },
    /// No layout of this name is known.
    #[error("unknown layout `{name}`: expected one of {}", known.join(", "))]
    UnknownLayout {
        /// The name asked for.
        name: String,
        /// Names that exist.
        known: Vec<String>,
    },
    /// A descriptor is not valid TOML or has unknown or missing keys.
    #[error("the descriptor {origin} is not valid: {reason}")]
    Descriptor {
        /// File or name of the descriptor.
        origin: String,
        /// What the parser found.
        reason: String,
    },
    /// A class has no normal image to train on.
    #[error(
        "class `{class}` has no training images: expected image files (png, jpg, jpeg, bmp, tif, tiff, webp) in {}",
        folder.display()
    )]
    NoTrainingImages {
        /// The class.
        class: String,
        /// Folder that should hold them.
        folder: PathBuf,
    },
    /// An anomalous test image has no mask although its class has others.
    #[error(
        "the anomalous image {} has no mask: expected {}",
        image.display(),
        list(expected)
    )]
    MaskMissing {
        /// The image.
        image: PathBuf,
        /// Names tried for its mask.
        expected: Vec<PathBuf>,
    },
    /// A class has anomalous test images but no masks at all.
    #[error(
        "class `{class}` has anomalous test images but no ground truth: expected masks in {}",
        folder.display()
    )]
    NoGroundTruth {
        /// The class.
        class: String,
        /// Folder that should hold them.
        folder: PathBuf,
    },
    /// A mask and its image differ in size, so pixels cannot be compared.
    #[error(
        "the mask {} is {}x{} pixels but its image {} is {}x{}: expected equal sizes",
        mask.display(), mask_size.0, mask_size.1, image.display(), image_size.0, image_size.1
    )]
    MaskSize {
        /// The mask.
        mask: PathBuf,
        /// Width and height of the mask in pixels.
        mask_size: (u32, u32),
        /// The image.
        image: PathBuf,
        /// Width and height of the image in pixels.
        image_size: (u32, u32),
    },
    /// A file is not an image, or ends too early, or holds impossible data.
    #[error(
        "{} is corrupt or truncated, or not an image of a known format: {reason}; get the file again or remove it",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What the decoder found.
        reason: String,
    },
    /// An image is too large to decode safely.
    #[error(
        "{} is {width}x{height} pixels, more than the limit of {limit} pixels: scale it down first",
        path.display()
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Most pixels accepted.
        limit: u64,
    },
    /// A table that lists the data set's files has a line that cannot be understood.
    #[error("{} line {line}: {reason}", path.display())]
    Table {
        /// The table.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A file or folder cannot be read or written.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was attempted: `read`, `list`, `create` or `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// An image cannot be brought to the size asked for.
    #[error("cannot resize an image of {width}x{height} pixels to {side}x{side}: {reason}")]
    Resize {
        /// Width of the image in pixels.
        width: u32,
        /// Height of the image in pixels.
        height: u32,
        /// Side asked for in pixels.
        side: usize,
        /// Why not.
        reason: String,
    },
    /// A sample was given to a data set that it does not come from.
    #[error("the sample `{id}` is not of the data set `{dataset}`: use one of its own samples")]
    ForeignSample {
        /// The sample's id.
        id: String,
        /// Name of the data set asked.
        dataset: String,
    },
    /// A setting of the synthetic set is out of its range.
    #[error("synthetic set: {key} is {value}, expected {expected}")]
    Config {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
}

/// A data set whose folder was not found: where it was looked for, and where to get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingRoot {
    /// Name of the data set, as given to [`crate::open`].
    pub name: String,
    /// Its title.
    pub title: String,
    /// Folders tried, in order, each with whether it exists.
    pub looked_for: Vec<(PathBuf, bool)>,
    /// What the layout expects in the folder.
    pub layout: String,
    /// Official page of the data set.
    pub homepage: String,
    /// Its licence.
    pub licence: String,
}

impl fmt::Display for MissingRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, title) = (&self.name, &self.title);
        write!(f, "the data set `{name}` ({title}) was not found; looked for:")?;
        for (path, exists) in &self.looked_for {
            let state = match exists {
                true => "is there, but holds no class of this layout",
                false => "does not exist",
            };
            write!(f, "\n  {} ({state})", path.display())?;
        }
        write!(f, "\nexpected there: {}", self.layout)?;
        write!(f, "\nwhere it comes from: {} (licence: {})", self.homepage, self.licence)?;
        write!(
            f,
            "\nset the data root (--set data.root=DIR, or HGAD_DATA) to its folder, or to the folder that holds it"
        )
    }
}

fn list(paths: &[PathBuf]) -> String {
    if paths.is_empty() {
        return "one, since every anomalous sample needs it".into();
    }
    let names: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
    names.join(" or ")
}
