use std::path::Path;

use crate::dataset::Dataset;
use crate::descriptor::Descriptor;
use crate::error::DatasetError;
use crate::layouts::btad::Btad;
use crate::layouts::mvtec::MvTec;
use crate::layouts::mvtec3d::MvTec3d;
use crate::layouts::union::UnionLayout;
use crate::layouts::visa::Visa;
use crate::synthetic::SyntheticLayout;

/// One way of arranging a data set in a folder.
pub trait Layout: Send + Sync {
    /// The name descriptors use.
    fn name(&self) -> &'static str;

    /// What is expected in the folder, for people.
    fn expects(&self) -> &'static str;

    /// Lists the samples of the data set that `descriptor` describes, looked for in `root` itself
    /// and in the descriptor's folders below it. No image is read.
    ///
    /// # Errors
    /// [`DatasetError::RootMissing`] and what the layout finds wrong in the folder.
    fn open(&self, descriptor: &Descriptor, root: &Path) -> Result<Box<dyn Dataset>, DatasetError>;
}

/// All layouts of this crate; a new one is a file in `layouts` and a line here.
pub static LAYOUTS: &[&dyn Layout] =
    &[&MvTec, &Btad, &MvTec3d, &Visa, &UnionLayout, &SyntheticLayout];

/// The layout of a name.
///
/// # Errors
/// [`DatasetError::UnknownLayout`], which lists the names that exist.
pub fn layout_by_name(name: &str) -> Result<&'static dyn Layout, DatasetError> {
    let found = LAYOUTS.iter().find(|layout| layout.name() == name);
    found.copied().ok_or_else(|| DatasetError::UnknownLayout {
        name: name.into(),
        known: LAYOUTS.iter().map(|layout| layout.name().into()).collect(),
    })
}
