//! Data sets written out as files.

use std::path::Path;

use image::ImageError;
use rayon::prelude::*;

use crate::dataset::{Dataset, Sample};
use crate::decode::io;
use crate::error::DatasetError;

/// Writes `samples` of `dataset` and their masks below `folder` as PNG in the layout of MVTec AD: ids like
/// `bottle/test/broken_large/000.png` are paths.
///
/// # Errors
/// What reading gives; [`DatasetError::Io`] naming the file that cannot be written.
pub fn write_mvtec(
    dataset: &dyn Dataset,
    samples: &[Sample],
    folder: &Path,
) -> Result<(), DatasetError> {
    samples.par_iter().try_for_each(|sample| {
        let image = dataset.image(sample)?;
        let path = folder.join(&sample.id).with_extension("png");
        write(&path, |path| image.save(path))?;
        let Some(mask) = dataset.mask(sample)? else {
            return Ok(());
        };
        let id = sample.id.replacen("/test/", "/ground_truth/", 1);
        let stem = id.rsplit_once('.').map_or(&*id, |(stem, _)| stem);
        write(&folder.join(format!("{stem}_mask.png")), |path| mask.save(path))
    })
}

fn write(
    path: &Path,
    save: impl FnOnce(&Path) -> Result<(), ImageError>,
) -> Result<(), DatasetError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|e| io("create", parent, e))?;
    }
    save(path).map_err(|error| match error {
        ImageError::IoError(e) => io("write", path, e),
        other => io("write", path, std::io::Error::other(other)),
    })
}
