//! A procedural data set: six products, each with several kinds of defect, computed on demand.

pub(crate) mod draw;
mod flaw;
pub(crate) mod geometry;
mod glyphs;
pub(crate) mod noise;
mod product;
mod products;
pub(crate) mod render;

use std::path::Path;

use image::{GrayImage, RgbImage};
use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, Sample, Source, Split, foreign};
use crate::descriptor::Descriptor;
use crate::error::DatasetError;
use crate::layout::Layout;
use draw::Draw;
use flaw::Flaw;
use product::PRODUCTS;
use render::{Scene, difference};

/// Part of every content hash: raise it whenever any pixel changes.
const GENERATOR: u32 = 7;
/// A defect that happens to be invisible is drawn again, a little stronger, so often.
const ATTEMPTS: u32 = 40;
/// A mask has at least one pixel in so many.
const SMALLEST_SHARE: usize = 1200;

/// What the synthetic set holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SyntheticConfig {
    /// Changes every image; default 0.
    pub seed: u64,
    /// Side of the square images in pixels, 32 to 4096; default 256.
    pub size: usize,
    /// Normal training images a class, at least 1; default 60.
    pub train_per_class: usize,
    /// Normal test images a class; default 16.
    pub test_good_per_class: usize,
    /// Anomalous test images a class, shared evenly among its kinds of defect; default 24.
    pub test_anomalous_per_class: usize,
    /// How hard the defects are to see, 0.2 to 5; 2 halves their contrast. Default 1.
    pub difficulty: f32,
}

impl Default for SyntheticConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            size: 256,
            train_per_class: 60,
            test_good_per_class: 16,
            test_anomalous_per_class: 24,
            difficulty: 1.0,
        }
    }
}

impl SyntheticConfig {
    fn check(&self) -> Result<(), DatasetError> {
        let fail =
            |key, value: String, expected| Err(DatasetError::Config { key, value, expected });
        if !(32..=4096).contains(&self.size) {
            return fail("size", self.size.to_string(), "32 to 4096 pixels");
        }
        if self.train_per_class == 0 {
            return fail("train_per_class", "0".into(), "at least 1");
        }
        if self.test_good_per_class + self.test_anomalous_per_class == 0 {
            let key = "test_good_per_class + test_anomalous_per_class";
            return fail(key, "0".into(), "at least 1 test image a class");
        }
        if !(0.2..=5.0).contains(&self.difficulty) {
            return fail("difficulty", self.difficulty.to_string(), "0.2 to 5");
        }
        Ok(())
    }
}

/// The synthetic data set: `board`, `capsule`, `fabric`, `gear`, `leather` and `wood`.
///
/// Each image follows from the configuration's seed and size and the sample's id alone; normal
/// images vary in light, pose, colour and texture. A mask has the pixels where the image with the
/// defect differs visibly from the same image without it: by at least 4 of 255 on average over
/// 3x3 pixels. The same program on the same kind of processor makes the same bytes.
#[derive(Debug, Clone)]
pub struct SyntheticSet {
    config: SyntheticConfig,
    classes: Vec<String>,
    samples: Vec<Sample>,
}

impl SyntheticSet {
    /// Lists the samples; nothing is drawn yet.
    ///
    /// # Errors
    /// [`DatasetError::Config`] if a setting is out of its range.
    pub fn new(config: SyntheticConfig) -> Result<Self, DatasetError> {
        config.check()?;
        let mut samples = Vec::new();
        for (class, product) in PRODUCTS.iter().enumerate() {
            let mut push = |split, folder: &str, defect: Option<&str>, index: usize| {
                samples.push(Sample {
                    class,
                    split,
                    defect: defect.map(str::to_owned),
                    source: Source::Generated(samples.len() as u64),
                    id: format!("{}/{folder}/{index:03}.png", product.name()),
                });
            };
            for index in 0..config.train_per_class {
                push(Split::Train, "train/good", None, index);
            }
            let kinds = product.defects();
            let mut folders: Vec<(&str, usize)> = vec![("good", config.test_good_per_class)];
            folders.extend(kinds.iter().enumerate().map(|(k, (name, _))| {
                let n = config.test_anomalous_per_class;
                (*name, n / kinds.len() + usize::from(k < n % kinds.len()))
            }));
            folders.sort_unstable();
            for (name, count) in folders {
                let defect = (name != "good").then_some(name);
                for index in 0..count {
                    push(Split::Test, &format!("test/{name}"), defect, index);
                }
            }
        }
        Ok(Self {
            config,
            classes: PRODUCTS.iter().map(|product| product.name().into()).collect(),
            samples,
        })
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &SyntheticConfig {
        &self.config
    }

    /// The image and, for an anomalous sample, its mask: cheaper than asking for both in turn.
    ///
    /// # Errors
    /// [`DatasetError::ForeignSample`].
    pub fn draw(&self, sample: &Sample) -> Result<(RgbImage, Option<GrayImage>), DatasetError> {
        let own = match sample.source {
            Source::Generated(index) => self.samples.get(index as usize),
            Source::File { .. } => None,
        };
        if own != Some(sample) {
            return Err(foreign(self.name(), sample));
        }
        let product = PRODUCTS[sample.class];
        let size = self.config.size as u32;
        let pixel = 2.0 / size as f32;
        let key = format!("{}/{}", self.config.seed, sample.id);
        let mut draw = Draw::new(&key);
        let specimen = product.specimen(&mut draw, pixel);
        let scene = Scene::new(&mut draw);
        let normal = scene.render(&*specimen, size, None);
        let named = |name: &String| product.defects().iter().find(|(known, _)| known == name);
        let Some((_, kind)) = sample.defect.as_ref().and_then(named) else {
            return Ok((normal, None));
        };
        let smallest = (self.config.size * self.config.size).div_ceil(SMALLEST_SHARE);
        let mut strength = 1.0 / self.config.difficulty;
        let mut attempt = 0;
        loop {
            let mut draw = Draw::new(&format!("{key}/defect {attempt}"));
            let centre = specimen.site(*kind, &mut draw);
            let flaw = Flaw::new(*kind, centre, specimen.stain(), strength, pixel, &mut draw);
            let image = scene.render(&*specimen, size, Some(&flaw));
            let mask = difference(&normal, &image);
            let area = mask.as_raw().iter().filter(|&&v| v != 0).count();
            attempt += 1;
            if area >= smallest || attempt >= ATTEMPTS {
                return Ok((image, Some(mask)));
            }
            strength *= 1.15;
        }
    }
}

impl Dataset for SyntheticSet {
    fn name(&self) -> &str {
        "synthetic"
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }

    fn samples(&self) -> &[Sample] {
        &self.samples
    }

    fn image(&self, sample: &Sample) -> Result<RgbImage, DatasetError> {
        Ok(self.draw(sample)?.0)
    }

    fn mask(&self, sample: &Sample) -> Result<Option<GrayImage>, DatasetError> {
        match sample.is_anomalous() {
            true => Ok(self.draw(sample)?.1),
            false => Ok(None),
        }
    }

    fn content_hash(&self, sample: &Sample) -> Result<[u8; 32], DatasetError> {
        let c = &self.config;
        let mut recipe = format!("synthetic {GENERATOR} {} {} {}", c.seed, c.size, sample.id);
        if sample.is_anomalous() {
            recipe += &format!(" {:08x}", c.difficulty.to_bits());
        }
        Ok(*blake3::hash(recipe.as_bytes()).as_bytes())
    }
}

/// The synthetic set with its default configuration; needs no folder.
#[derive(Debug, Clone, Copy)]
pub struct SyntheticLayout;

impl Layout for SyntheticLayout {
    fn name(&self) -> &'static str {
        "synthetic"
    }

    fn expects(&self) -> &'static str {
        "nothing: the images are computed"
    }

    fn open(&self, _: &Descriptor, _: &Path) -> Result<Box<dyn Dataset>, DatasetError> {
        Ok(Box::new(SyntheticSet::new(SyntheticConfig::default())?))
    }
}
