//! Features on disk: one memory-mapped file an image, found by what made it.
//!
//! A folder holds the features of one extractor: its name is a hash of the backbone's fingerprint
//! (weights included), the transform, the levels and the number type. A file in it is named by the
//! hash of the image's content. A changed image or setting has another name, so nothing stale can
//! be served; files appear whole or not at all, so a killed run leaves nothing broken.

use crate::atomic;
use crate::error::ExperimentError;
use crate::model::LevelShape;
use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"HGADFT01";
const HEADER: usize = 64;
const INFO: &str = "extractor.json";

/// How numbers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 4 bytes, exact.
    F32,
    /// 2 bytes, IEEE half precision: relative error up to 2^-11.
    F16,
}

impl Precision {
    fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

/// What made the features of one folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extractor {
    /// Name of the backbone, for people.
    pub backbone: String,
    /// Hash of its weights and architecture.
    pub fingerprint: String,
    /// Resizing and normalization.
    pub transform: String,
    /// What is made of the backbone's maps; empty where they are taken as they are.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub patches: String,
    /// Side of the images in pixels, for people.
    pub img_size: usize,
    /// Maps of one image.
    pub levels: Vec<LevelShape>,
    /// How numbers are kept.
    pub precision: Precision,
}

impl Extractor {
    fn key(&self) -> String {
        let text = serde_json::to_vec(self).unwrap_or_default();
        blake3::hash(&text).to_hex()[..32].to_string()
    }

    /// Bytes of one image's file.
    pub fn file_len(&self) -> u64 {
        let numbers: usize = self.levels.iter().map(LevelShape::len).sum();
        (HEADER + numbers * self.precision.bytes()) as u64
    }
}

/// The features of one extractor.
pub struct FeatureCache {
    folder: PathBuf,
    extractor: Extractor,
}

impl FeatureCache {
    /// The features of `extractor` below `root`; the folder is made if there is none.
    ///
    /// # Errors
    /// I/O.
    pub fn open(root: &Path, extractor: Extractor) -> Result<Self, ExperimentError> {
        let folder = root.join(extractor.key());
        let info = folder.join(INFO);
        if !info.exists() {
            let text = serde_json::to_vec_pretty(&extractor).unwrap_or_default();
            atomic::write_bytes(&info, &text)?;
        }
        Ok(Self { folder, extractor })
    }

    /// What makes these features.
    pub fn extractor(&self) -> &Extractor {
        &self.extractor
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, content: &[u8; 32]) -> PathBuf {
        let name = blake3::Hash::from(*content).to_hex();
        self.folder.join(&name[..2]).join(&name[2..])
    }

    /// Whether the features of that content are there.
    pub fn contains(&self, content: &[u8; 32]) -> bool {
        self.path(content).metadata().is_ok_and(|m| m.len() == self.extractor.file_len())
    }

    /// The features of that content, memory-mapped; `None` where they are not there.
    ///
    /// # Errors
    /// I/O; a file that is none of ours.
    pub fn get(&self, content: &[u8; 32]) -> Result<Option<CachedMaps<'_>>, ExperimentError> {
        let path = self.path(content);
        let file = match std::fs::File::open(&path) {
            Ok(f) => f,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(ExperimentError::io("read", &path, e)),
        };
        // SAFETY: files here are renamed into place whole and never written again.
        let bytes =
            unsafe { Mmap::map(&file) }.map_err(|e| ExperimentError::io("map", &path, e))?;
        let whole = bytes.len() as u64 == self.extractor.file_len();
        if !whole || &bytes[..8] != MAGIC || bytes[8..40] != content[..] {
            let reason = "this is not a whole feature file; remove it (or run `hgad cache clear`) and run again";
            return Err(ExperimentError::File { path, reason: reason.into() });
        }
        Ok(Some(CachedMaps { bytes, extractor: &self.extractor }))
    }

    /// Keeps `maps`, one a level.
    ///
    /// # Errors
    /// A full disk; other I/O; maps of another size.
    pub fn put(&self, content: &[u8; 32], maps: &[Vec<f32>]) -> Result<(), ExperimentError> {
        let path = self.path(content);
        let expected: Vec<usize> = self.extractor.levels.iter().map(LevelShape::len).collect();
        let found: Vec<usize> = maps.iter().map(Vec::len).collect();
        if expected != found {
            let reason = format!("features have {found:?} numbers a level, expected {expected:?}");
            return Err(ExperimentError::File { path, reason });
        }
        atomic::write(&path, |w| {
            let mut header = [0u8; HEADER];
            header[..8].copy_from_slice(MAGIC);
            header[8..40].copy_from_slice(content);
            w.write_all(&header)?;
            for map in maps {
                match self.extractor.precision {
                    Precision::F32 => w.write_all(bytemuck::cast_slice(map))?,
                    Precision::F16 => {
                        let half: Vec<u16> =
                            map.iter().map(|v| half::f16::from_f32(*v).to_bits()).collect();
                        w.write_all(bytemuck::cast_slice(&half))?;
                    }
                }
            }
            Ok(())
        })
        .map_err(|e| match e {
            ExperimentError::DiskFull { path, .. } => ExperimentError::DiskFull {
                path,
                needed: format!("features take {} an image", bytes_text(self.extractor.file_len())),
                key: "cache.dir",
            },
            other => other,
        })
    }

    /// Refuses to begin what the disk cannot hold: `images` more files.
    ///
    /// # Errors
    /// Less space than needed.
    pub fn require_space(&self, images: usize) -> Result<(), ExperimentError> {
        let needed = self.extractor.file_len() * images as u64;
        match fs4::available_space(&self.folder) {
            Ok(free) if free < needed => Err(ExperimentError::DiskFull {
                path: self.folder.clone(),
                needed: format!(
                    "the features of {images} images take {}, {} are free (cache.dtype = \"f16\" halves that)",
                    bytes_text(needed),
                    bytes_text(free)
                ),
                key: "cache.dir",
            }),
            // A file system that cannot say is tried.
            _ => Ok(()),
        }
    }
}

/// The features of one image.
pub struct CachedMaps<'a> {
    bytes: Mmap,
    extractor: &'a Extractor,
}

impl CachedMaps<'_> {
    /// The map of one level, positions row-major, channels last.
    pub fn level(&self, level: usize) -> Cow<'_, [f32]> {
        let shapes = &self.extractor.levels;
        let before: usize = shapes[..level].iter().map(LevelShape::len).sum();
        let size = self.extractor.precision.bytes();
        let start = HEADER + before * size;
        let bytes = &self.bytes[start..start + shapes[level].len() * size];
        match self.extractor.precision {
            Precision::F32 => Cow::Borrowed(bytemuck::cast_slice(bytes)),
            Precision::F16 => {
                let half: &[u16] = bytemuck::cast_slice(bytes);
                Cow::Owned(half.iter().map(|b| half::f16::from_bits(*b).to_f32()).collect())
            }
        }
    }
}

/// The folder of all features: the setting, else HGAD_CACHE, else the user's cache folder.
pub fn root(setting: &Path) -> PathBuf {
    if !setting.as_os_str().is_empty() {
        return setting.into();
    }
    let from = |key: &str| std::env::var_os(key).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(dir) = from("HGAD_CACHE") {
        return dir;
    }
    from("XDG_CACHE_HOME")
        .or_else(|| from("HOME").map(|h| h.join(".cache")))
        .or_else(|| from("LOCALAPPDATA"))
        .unwrap_or_else(std::env::temp_dir)
        .join("hgad")
        .join("features")
}

/// Bytes that are free on the disk of `folder`, which must be there; `None` where the file system
/// does not say.
pub fn free_space(folder: &Path) -> Option<u64> {
    fs4::available_space(folder).ok()
}

/// One folder of features, for listings.
#[derive(Clone, Debug)]
pub struct CacheEntry {
    /// Name of its folder.
    pub key: String,
    /// What made it; `None` where that cannot be read.
    pub extractor: Option<Extractor>,
    /// Images.
    pub images: usize,
    /// Bytes.
    pub bytes: u64,
}

/// The folders of features below `root`, by key.
///
/// # Errors
/// I/O other than a missing root.
pub fn list(root: &Path) -> Result<Vec<CacheEntry>, ExperimentError> {
    let mut out = Vec::new();
    for folder in subfolders(root)? {
        let info = folder.join(INFO);
        if !info.exists() {
            continue;
        }
        let extractor = std::fs::read(&info).ok().and_then(|b| serde_json::from_slice(&b).ok());
        let (mut images, mut bytes) = (0, 0);
        for sub in subfolders(&folder)? {
            let files =
                std::fs::read_dir(&sub).map_err(|e| ExperimentError::io("list", &sub, e))?;
            for file in files.flatten() {
                images += 1;
                bytes += file.metadata().map_or(0, |m| m.len());
            }
        }
        let key = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        out.push(CacheEntry { key, extractor, images, bytes });
    }
    out.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(out)
}

/// Removes the folders of features whose key begins with `prefix` (all for an empty one), and
/// gives what was removed. Folders that hold no features are left alone.
///
/// # Errors
/// I/O.
pub fn clear(root: &Path, prefix: &str) -> Result<Vec<CacheEntry>, ExperimentError> {
    let mut entries = list(root)?;
    entries.retain(|e| e.key.starts_with(prefix));
    for entry in &entries {
        let folder = root.join(&entry.key);
        std::fs::remove_dir_all(&folder).map_err(|e| ExperimentError::io("remove", &folder, e))?;
    }
    Ok(entries)
}

fn subfolders(root: &Path) -> Result<Vec<PathBuf>, ExperimentError> {
    match std::fs::read_dir(root) {
        Ok(entries) => Ok(entries.flatten().map(|e| e.path()).filter(|p| p.is_dir()).collect()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(ExperimentError::io("list", root, e)),
    }
}

/// A number of bytes for people: `1.4 GiB`.
pub fn bytes_text(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}
