use std::path::{Path, PathBuf};

use crate::descriptor::Descriptor;
use crate::error::{DatasetError, MissingRoot};

/// The data set's folder: `root` itself, or one of the descriptor's folder names in it.
pub(crate) fn locate(
    descriptor: &Descriptor,
    root: &Path,
    expects: &str,
    recognises: impl Fn(&Path) -> bool,
) -> Result<PathBuf, DatasetError> {
    let inner = descriptor.folders.iter().map(|folder| root.join(folder));
    let candidates: Vec<PathBuf> = std::iter::once(root.to_path_buf()).chain(inner).collect();
    match candidates.iter().find(|folder| recognises(folder)) {
        Some(folder) => Ok(folder.clone()),
        None => Err(DatasetError::RootMissing(Box::new(MissingRoot {
            name: descriptor.name.clone(),
            title: descriptor.title.clone(),
            looked_for: candidates.into_iter().map(|path| (path.clone(), path.is_dir())).collect(),
            layout: expects.into(),
            homepage: descriptor.homepage.clone(),
            licence: descriptor.licence.clone(),
        }))),
    }
}
