use std::path::Path;

use crate::dataset::Dataset;
use crate::descriptor::Descriptor;
use crate::error::DatasetError;
use crate::layout::layout_by_name;

/// Lists the samples of a data set: `mvtec`, `btad`, `mvtec3d`, `visa`, `union`, `synthetic`, or
/// `folder` for any folder in the layout of MVTec AD.
///
/// `root` is the data set's folder, or one that holds it under one of its usual names. No image
/// is read. For a data set with a descriptor of its own, see [`Descriptor::open`].
///
/// # Errors
/// [`DatasetError::UnknownDataset`], [`DatasetError::RootMissing`], and what the layout finds wrong.
pub fn open(name: &str, root: &Path) -> Result<Box<dyn Dataset>, DatasetError> {
    Descriptor::by_name(name)?.open(root)
}

impl Descriptor {
    /// Lists the samples of the data set described, as [`open`] does.
    ///
    /// # Errors
    /// As [`open`], and [`DatasetError::UnknownLayout`].
    pub fn open(&self, root: &Path) -> Result<Box<dyn Dataset>, DatasetError> {
        layout_by_name(&self.layout)?.open(self, root)
    }
}
