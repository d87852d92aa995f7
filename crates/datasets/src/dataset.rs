use std::path::PathBuf;

use image::{GrayImage, RgbImage};
use serde::{Deserialize, Serialize};

use crate::decode;
use crate::error::DatasetError;

/// Which part of a data set a sample belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Normal samples to train on.
    Train,
    /// Normal and anomalous samples to test on.
    Test,
}

/// Where the pixels of a sample come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// Image files.
    File {
        /// The image.
        image: PathBuf,
        /// The mask; every anomalous sample of a layout of this crate has one.
        mask: Option<PathBuf>,
    },
    /// Made by the data set itself, which alone understands the number.
    Generated(u64),
}

/// One image of a data set, not loaded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sample {
    /// Index into [`Dataset::classes`].
    pub class: usize,
    /// Train or test.
    pub split: Split,
    /// The kind of defect; `None` is a normal sample.
    pub defect: Option<String>,
    /// Where the pixels come from.
    pub source: Source,
    /// Unique and the same on every machine: the path relative to the data set's folder, with
    /// forward slashes, like `bottle/test/broken_large/000.png`.
    pub id: String,
}

impl Sample {
    /// Whether the sample has a defect.
    pub fn is_anomalous(&self) -> bool {
        self.defect.is_some()
    }
}

/// A list of samples, and the means to get the pixels of each.
///
/// The default methods read files; a data set that makes its pixels overrides them.
pub trait Dataset: Send + Sync {
    /// The name, as given to [`crate::open`].
    fn name(&self) -> &str;

    /// Names of the classes; a sample's `class` is an index into them.
    fn classes(&self) -> &[String];

    /// All samples, class by class, training samples first, in the same order on every machine.
    fn samples(&self) -> &[Sample];

    /// The image of a sample, in full size.
    ///
    /// # Errors
    /// [`DatasetError::Io`], [`DatasetError::Corrupt`], [`DatasetError::TooLarge`],
    /// [`DatasetError::ForeignSample`].
    fn image(&self, sample: &Sample) -> Result<RgbImage, DatasetError> {
        decode::read_image(file(self.name(), sample)?.0)
    }

    /// Width and height of the image of a sample in pixels, of a file from its header alone.
    ///
    /// # Errors
    /// As [`Dataset::image`].
    fn dimensions(&self, sample: &Sample) -> Result<(u32, u32), DatasetError> {
        match &sample.source {
            Source::File { image, .. } => decode::dimensions(image),
            Source::Generated(_) => Ok(self.image(sample)?.dimensions()),
        }
    }

    /// The mask of an anomalous sample, as large as its image, non-zero where it is anomalous;
    /// `None` for a normal sample.
    ///
    /// # Errors
    /// As [`Dataset::image`], and [`DatasetError::MaskMissing`], [`DatasetError::MaskSize`].
    fn mask(&self, sample: &Sample) -> Result<Option<GrayImage>, DatasetError> {
        if !sample.is_anomalous() {
            return Ok(None);
        }
        let (image, mask) = file(self.name(), sample)?;
        let mask = mask.ok_or_else(|| DatasetError::MaskMissing {
            image: image.clone(),
            expected: Vec::new(),
        })?;
        let pixels = decode::read_mask(mask)?;
        let image_size = decode::dimensions(image)?;
        if pixels.dimensions() != image_size {
            return Err(DatasetError::MaskSize {
                mask: mask.clone(),
                mask_size: pixels.dimensions(),
                image: image.clone(),
                image_size,
            });
        }
        Ok(Some(pixels))
    }

    /// A hash that changes whenever the image's pixels may: BLAKE3 of the file's bytes, or of the
    /// recipe that makes them.
    ///
    /// # Errors
    /// [`DatasetError::Io`], [`DatasetError::ForeignSample`].
    fn content_hash(&self, sample: &Sample) -> Result<[u8; 32], DatasetError> {
        let bytes = decode::read_bytes(file(self.name(), sample)?.0)?;
        Ok(*blake3::hash(&bytes).as_bytes())
    }
}

fn file<'a>(
    dataset: &str,
    sample: &'a Sample,
) -> Result<(&'a PathBuf, Option<&'a PathBuf>), DatasetError> {
    match &sample.source {
        Source::File { image, mask } => Ok((image, mask.as_ref())),
        Source::Generated(_) => Err(foreign(dataset, sample)),
    }
}

pub(crate) fn foreign(dataset: &str, sample: &Sample) -> DatasetError {
    DatasetError::ForeignSample { id: sample.id.clone(), dataset: dataset.into() }
}
