//! Image files for the cases that decode: drawn ones in a folder of their own, or the user's.

use crate::case::Setup;
use crate::error::BenchError;
use hgad_datasets::{Dataset, SyntheticConfig, SyntheticSet};
use image::ImageFormat;
use std::path::{Path, PathBuf};

/// Side of the drawn images in pixels.
const SIDE: usize = 1024;
/// One of each synthetic product.
const COUNT: usize = 6;

/// A kind of file.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    extensions: &'static [&'static str],
    format: ImageFormat,
}

pub(crate) const JPEG: Kind =
    Kind { name: "jpeg", extensions: &["jpg", "jpeg"], format: ImageFormat::Jpeg };
/// Drawn as PNG; whatever it finds in the user's folder.
pub(crate) const ANY: Kind =
    Kind { name: "jpeg or png", extensions: &["png", "jpg", "jpeg"], format: ImageFormat::Png };
pub(crate) const PNG: Kind = Kind { name: "png", extensions: &["png"], format: ImageFormat::Png };

/// Files, and the folder that goes away with them where they were drawn.
pub(crate) struct ImageFiles {
    pub(crate) paths: Vec<PathBuf>,
    _drawn: Option<tempfile::TempDir>,
}

impl ImageFiles {
    /// Those of `setup`'s folder, by name, or drawn ones.
    pub(crate) fn of(kind: Kind, setup: &Setup) -> Result<Self, BenchError> {
        match &setup.images {
            Some(folder) => Ok(Self { paths: listed(folder, kind)?, _drawn: None }),
            None => draw(kind),
        }
    }
}

fn listed(folder: &Path, kind: Kind) -> Result<Vec<PathBuf>, BenchError> {
    let entries = std::fs::read_dir(folder).map_err(|e| failed("list", folder, e))?;
    let is_kind = |p: &PathBuf| {
        let extension = p.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
        extension.is_some_and(|e| kind.extensions.contains(&e.as_str()))
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(is_kind).collect();
    paths.sort();
    match paths.is_empty() {
        true => Err(BenchError::NoImages { folder: folder.into(), kind: kind.name }),
        false => Ok(paths),
    }
}

fn draw(kind: Kind) -> Result<ImageFiles, BenchError> {
    let folder = tempfile::tempdir().map_err(|e| failed("make", &std::env::temp_dir(), e))?;
    let config = SyntheticConfig { size: SIDE, train_per_class: 1, ..Default::default() };
    let set = SyntheticSet::new(config)?;
    let normal = set.samples().iter().filter(|s| !s.is_anomalous()).step_by(17).take(COUNT);
    let mut paths = Vec::new();
    for (i, sample) in normal.enumerate() {
        let path = folder.path().join(format!("{i}.{}", kind.extensions[0]));
        let image = set.image(sample)?;
        image.save_with_format(&path, kind.format).map_err(|e| failed("write", &path, e))?;
        paths.push(path);
    }
    Ok(ImageFiles { paths, _drawn: Some(folder) })
}

fn failed(action: &'static str, path: &Path, reason: impl ToString) -> BenchError {
    BenchError::Image { action, path: path.into(), reason: reason.to_string() }
}
