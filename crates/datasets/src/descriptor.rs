use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::decode::io;
use crate::error::DatasetError;

/// What a data set is called, where it comes from, and what it should hold: a TOML file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Descriptor {
    /// Short name, as given to [`crate::open`].
    pub name: String,
    /// Full name.
    pub title: String,
    /// Name of its [`crate::Layout`].
    pub layout: String,
    /// Names its folder may have below the data root.
    #[serde(default)]
    pub folders: Vec<String>,
    /// Official page.
    pub homepage: String,
    /// Licence of the images.
    pub licence: String,
    /// What to cite.
    #[serde(default)]
    pub citation: String,
    /// Data sets it joins, for a union.
    #[serde(default)]
    pub members: Vec<String>,
    /// Results of HGAD as its authors published them, mean over classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<PublishedResult>,
    /// How [`Descriptor::published`] and the results of its classes were reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// Results of other unified methods, mean over classes.
    #[serde(default)]
    pub others: Vec<OtherMethod>,
    /// The classes it should hold; none if that is not known.
    #[serde(default)]
    pub classes: Vec<ClassDescriptor>,
}

/// How many images one class should hold; `None` is not known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassDescriptor {
    /// Name of the class.
    pub name: String,
    /// Training images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<usize>,
    /// Normal test images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_good: Option<usize>,
    /// Anomalous test images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_anomalous: Option<usize>,
    /// Results of HGAD on the class as its authors published them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<PublishedResult>,
}

/// A published result, as shares of one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishedResult {
    /// Area under the ROC curve of the image scores.
    pub image_auroc: f64,
    /// Area under the ROC curve of the pixel scores.
    pub pixel_auroc: f64,
}

/// How published results were reached.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// Name of the method.
    pub method: String,
    /// Where the results are from.
    pub source: String,
    /// Side of the images in pixels.
    pub img_size: usize,
    /// Feature extractor, timm's name.
    pub backbone: String,
    /// Passes over the training images.
    pub passes: usize,
    /// Which of its evaluations is reported.
    pub selection: String,
}

/// A published result of another unified method, mean over classes, as shares of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherMethod {
    /// Its name.
    pub method: String,
    /// What it is, in a few words.
    pub about: String,
    /// Where the result is from.
    pub source: String,
    /// Area under the ROC curve of the image scores.
    pub image_auroc: f64,
    /// Area under the ROC curve of the pixel scores.
    pub pixel_auroc: f64,
}

/// The descriptors that come with the crate; a new one is a file and a line here.
const SHIPPED: &[(&str, &str)] = &[
    ("mvtec", include_str!("../descriptors/mvtec.toml")),
    ("btad", include_str!("../descriptors/btad.toml")),
    ("mvtec3d", include_str!("../descriptors/mvtec3d.toml")),
    ("visa", include_str!("../descriptors/visa.toml")),
    ("union", include_str!("../descriptors/union.toml")),
    ("folder", include_str!("../descriptors/folder.toml")),
    ("synthetic", include_str!("../descriptors/synthetic.toml")),
];

impl Descriptor {
    /// Names of the descriptors that come with the crate.
    pub fn names() -> impl Iterator<Item = &'static str> {
        SHIPPED.iter().map(|(name, _)| *name)
    }

    /// A descriptor that comes with the crate.
    ///
    /// # Errors
    /// [`DatasetError::UnknownDataset`], which lists the names that exist.
    pub fn by_name(name: &str) -> Result<Self, DatasetError> {
        match SHIPPED.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Self::parse(text, name),
            None => Err(DatasetError::UnknownDataset {
                name: name.into(),
                known: Self::names().map(str::to_owned).collect(),
            }),
        }
    }

    /// Reads a descriptor file.
    ///
    /// # Errors
    /// [`DatasetError::Io`], [`DatasetError::Descriptor`].
    pub fn read(path: &Path) -> Result<Self, DatasetError> {
        let text = std::fs::read_to_string(path).map_err(|e| io("read", path, e))?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Parses a descriptor; `origin` is named in errors.
    ///
    /// # Errors
    /// [`DatasetError::Descriptor`] for invalid TOML and for unknown or missing keys.
    pub fn parse(text: &str, origin: &str) -> Result<Self, DatasetError> {
        toml::from_str(text)
            .map_err(|e| DatasetError::Descriptor { origin: origin.into(), reason: e.to_string() })
    }

    /// The classes expected: its own, or for a union those of its members, called `SET/CLASS`.
    ///
    /// # Errors
    /// [`DatasetError::UnknownDataset`] if a member has no descriptor.
    pub fn expected_classes(&self) -> Result<Vec<ClassDescriptor>, DatasetError> {
        let mut expected = self.classes.clone();
        for name in &self.members {
            for class in Self::by_name(name)?.expected_classes()? {
                expected.push(ClassDescriptor { name: format!("{name}/{}", class.name), ..class });
            }
        }
        Ok(expected)
    }
}
