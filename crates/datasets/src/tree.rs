//! Listing folders, and the scan shared by the layouts of the form class / split / kind / image.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::dataset::{Sample, Source, Split};
use crate::decode::io;
use crate::error::DatasetError;
use crate::file_set::FileSet;

const EXTENSIONS: [&str; 7] = ["png", "jpg", "jpeg", "bmp", "tif", "tiff", "webp"];

/// What differs between layouts of the form class / split / kind / image.
pub(crate) struct Tree {
    /// Kind of the normal images, in `train` and in `test`.
    pub(crate) normal: &'static str,
    /// Folder between the kind and the image files; empty if there is none.
    pub(crate) images: &'static str,
    /// Folder of the masks of a kind, from the class's folder.
    pub(crate) masks: fn(&Path, &str) -> PathBuf,
    /// Endings of a mask's stem after its image's, the usual one first.
    pub(crate) mask_endings: &'static [&'static str],
}

impl Tree {
    /// Whether a folder holds a class of this layout.
    pub(crate) fn recognises(&self, root: &Path) -> bool {
        folders(root).is_ok_and(|found| found.iter().any(|(_, path)| is_class(path)))
    }

    /// All classes under `root`, in the order of their names.
    pub(crate) fn scan(&self, name: &str, root: &Path) -> Result<FileSet, DatasetError> {
        let mut set = FileSet { name: name.into(), classes: Vec::new(), samples: Vec::new() };
        for (class, folder) in folders(root)? {
            if is_class(&folder) {
                self.scan_class(root, &class, &folder, &mut set)?;
                set.classes.push(class);
            }
        }
        Ok(set)
    }

    fn scan_class(
        &self,
        root: &Path,
        class: &str,
        folder: &Path,
        set: &mut FileSet,
    ) -> Result<(), DatasetError> {
        let index = set.classes.len();
        let mut push = |split, defect: Option<&str>, image: PathBuf, mask| {
            set.samples.push(Sample {
                class: index,
                split,
                defect: defect.map(str::to_owned),
                id: relative(root, &image),
                source: Source::File { image, mask },
            });
        };

        let train = self.image_folder(&folder.join("train").join(self.normal));
        let train_images = images(&train)?;
        if train_images.is_empty() {
            return Err(DatasetError::NoTrainingImages { class: class.into(), folder: train });
        }
        for image in train_images {
            push(Split::Train, None, image, None);
        }

        let test = folder.join("test");
        let kinds = match test.is_dir() {
            true => folders(&test)?,
            false => Vec::new(),
        };
        let mut with_masks = false;
        let mut without_mask = None;
        for (kind, path) in kinds {
            let anomalous = kind != self.normal;
            let mask_folder = (self.masks)(folder, &kind);
            let masks = match anomalous {
                true => by_stem(images(&mask_folder)?),
                false => BTreeMap::new(),
            };
            with_masks |= !masks.is_empty();
            for image in images(&self.image_folder(&path))? {
                let image_stem = stem(&image);
                let mask = self
                    .mask_endings
                    .iter()
                    .find_map(|ending| masks.get(&format!("{image_stem}{ending}")).cloned());
                if anomalous && mask.is_none() && without_mask.is_none() {
                    without_mask = Some((image.clone(), image_stem, mask_folder.clone()));
                }
                push(Split::Test, anomalous.then_some(&*kind), image, mask);
            }
        }
        match without_mask {
            None => Ok(()),
            Some((_, _, folder)) if !with_masks => {
                Err(DatasetError::NoGroundTruth { class: class.into(), folder })
            }
            Some((image, image_stem, folder)) => Err(DatasetError::MaskMissing {
                image,
                expected: self
                    .mask_endings
                    .iter()
                    .map(|ending| folder.join(format!("{image_stem}{ending}.png")))
                    .collect(),
            }),
        }
    }

    fn image_folder(&self, kind: &Path) -> PathBuf {
        match self.images {
            "" => kind.into(),
            inner => kind.join(inner),
        }
    }
}

fn is_class(folder: &Path) -> bool {
    folder.join("train").is_dir() || folder.join("test").is_dir()
}

/// Folders in a folder, by name, without hidden ones.
pub(crate) fn folders(parent: &Path) -> Result<Vec<(String, PathBuf)>, DatasetError> {
    let mut found: Vec<_> = entries(parent)?
        .into_iter()
        .filter(|path| path.is_dir())
        .map(|path| (name(&path), path))
        .filter(|(name, _)| !name.starts_with('.'))
        .collect();
    found.sort();
    Ok(found)
}

/// Image files in a folder, by name; none if the folder does not exist.
pub(crate) fn images(parent: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    if !parent.is_dir() {
        return Ok(Vec::new());
    }
    let mut found: Vec<_> =
        entries(parent)?.into_iter().filter(|path| is_image(path) && path.is_file()).collect();
    found.sort();
    Ok(found)
}

fn entries(parent: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let failed = |e| io("list", parent, e);
    std::fs::read_dir(parent)
        .map_err(failed)?
        .map(|entry| entry.map(|e| e.path()).map_err(failed))
        .collect()
}

/// Whether a file's name ends as one of an image that this crate reads: png, jpg, jpeg, bmp, tif,
/// tiff, webp, in any case. Hidden ones do not count.
pub fn is_image(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    // macOS leaves `._NAME.png` files that are no images.
    !name(path).starts_with('.') && EXTENSIONS.iter().any(|e| extension.eq_ignore_ascii_case(e))
}

fn by_stem(paths: Vec<PathBuf>) -> BTreeMap<String, PathBuf> {
    paths.into_iter().map(|path| (stem(&path), path)).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// The path below `root` with forward slashes.
pub(crate) fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = below.components().map(|c| c.as_os_str().to_string_lossy()).collect();
    parts.join("/")
}
