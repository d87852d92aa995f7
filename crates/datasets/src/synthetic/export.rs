use std::path::Path;

use image::ImageError;
use rayon::prelude::*;

use super::SyntheticSet;
use crate::dataset::Dataset;
use crate::decode::io;
use crate::error::DatasetError;

impl SyntheticSet {
    /// Writes all images and masks below `folder` as PNG in the layout of MVTec AD, so that
    /// `open("folder", folder)` gives the same samples, images and masks.
    ///
    /// # Errors
    /// [`DatasetError::Io`] naming the file that cannot be written.
    pub fn write_mvtec(&self, folder: &Path) -> Result<(), DatasetError> {
        self.samples().par_iter().try_for_each(|sample| {
            let image = self.image(sample)?;
            write(&folder.join(&sample.id), |path| image.save(path))?;
            let Some(mask) = self.mask(sample)? else {
                return Ok(());
            };
            let id = sample.id.replacen("/test/", "/ground_truth/", 1);
            let name = format!("{}_mask.png", id.trim_end_matches(".png"));
            write(&folder.join(name), |path| mask.save(path))
        })
    }
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
