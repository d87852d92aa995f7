//! Synthetic anomalies: normal images with something pasted on, to choose settings by without a label of
//! the test set (after CutPaste, Li et al., CVPR 2021, and DRAEM, Zavrtanik et al., ICCV 2021).

mod cut_paste;
mod fill;
mod kind;
mod scratch;
mod shade;
mod spot;
mod texture;
mod tones;
mod warp;

use image::{GrayImage, RgbImage};

use crate::dataset::{Dataset, Sample, Source, Split, foreign};
use crate::error::DatasetError;
use crate::synthetic::draw::Draw;
use crate::synthetic::render::difference;
pub use kind::PastedKind;
use spot::Spot;
use tones::Tones;

/// Part of every content hash: raise it whenever any pixel changes.
const GENERATOR: u32 = 6;
/// Most anomalies that one image has.
const MOST: u32 = 8;
/// What happens to be invisible is pasted again, elsewhere and otherwise, so often; then as noise, which is seen
/// on any ground.
const ATTEMPTS: u32 = 30;
/// Share of what was pasted that is visibly another.
const VISIBLE_SHARE: f32 = 0.3;

/// Normal images of a data set, and each of them again with synthetic anomalies.
///
/// It stands in for the data set: its images can be had here too. The samples are test samples: first the normal
/// ones, as they are, then of each its anomalous copies, whose kinds of anomaly take turns. A copy has one anomaly
/// to eight of its kind, one as often as two or three and about as often as four to eight; the more there are, the
/// smaller they may be. Each copy follows from the seed, its sample's id and the pixels alone. A mask has the
/// pixels where a copy visibly differs from its original: by at least 4 of 255 on average over 3x3.
pub struct PastedSet {
    base: Box<dyn Dataset>,
    seed: u64,
    /// The normal images, as the data set has them.
    originals: Vec<Sample>,
    samples: Vec<Sample>,
    /// Of each anomalous sample, in order: its original and its kind.
    copies: Vec<(usize, PastedKind)>,
}

impl PastedSet {
    /// Of the normal `originals` of `base`, each with `copies` anomalous copies of kinds that take turns
    /// among `kinds`; nothing is drawn yet.
    pub fn new(
        base: Box<dyn Dataset>,
        originals: Vec<Sample>,
        copies: usize,
        kinds: &[PastedKind],
        seed: u64,
    ) -> Self {
        let normal = |s: &Sample| Sample { split: Split::Test, defect: None, ..s.clone() };
        let mut samples: Vec<Sample> = originals.iter().map(normal).collect();
        let mut of = Vec::new();
        for (i, original) in originals.iter().enumerate() {
            for copy in 0..if kinds.is_empty() { 0 } else { copies } {
                let kind = kinds[(i * copies + copy + i / kinds.len()) % kinds.len()];
                samples.push(Sample {
                    class: original.class,
                    split: Split::Test,
                    defect: Some(kind.name().into()),
                    source: Source::Generated(of.len() as u64),
                    id: copy_id(&base.classes()[original.class], original, kind, copy),
                });
                of.push((i, kind));
            }
        }
        Self { base, seed, originals, samples, copies: of }
    }

    /// The image and, for an anomalous sample, its mask: cheaper than asking for both in turn.
    ///
    /// # Errors
    /// What reading the original gives; [`DatasetError::ForeignSample`].
    pub fn draw(&self, sample: &Sample) -> Result<(RgbImage, Option<GrayImage>), DatasetError> {
        let Some((original, kind)) = self.copy(sample)? else {
            return Ok((self.base.image(self.original(sample))?, None));
        };
        let image = self.base.image(original)?;
        let recipe = format!("pasted {} {}", self.seed, sample.id);
        // Few are as frequent as many by their logarithm, as radii are.
        let count = (MOST as f32 + 1.0).powf(Draw::new(&recipe).range(0.0, 1.0)) as u32;
        let count = count.min(MOST);
        let tones = Tones::of(&image);
        let mut pasted = image.clone();
        for one in 0..count {
            let recipe = format!("{recipe} {one}");
            pasted = paste_one(&pasted, tones.as_ref(), kind, count, &recipe);
        }
        let mask = difference(&image, &pasted);
        Ok((pasted, Some(mask)))
    }

    /// The original and the kind of an anomalous sample; `None` for a normal one.
    fn copy(&self, sample: &Sample) -> Result<Option<(&Sample, PastedKind)>, DatasetError> {
        if !sample.is_anomalous() {
            return Ok(None);
        }
        let own = match sample.source {
            Source::Generated(index) => self.copies.get(index as usize),
            Source::File { .. } => None,
        };
        match own {
            Some((original, kind)) => Ok(Some((&self.originals[*original], *kind))),
            None => Err(foreign(self.name(), sample)),
        }
    }

    /// A normal sample as the data set knows it, one of its own that has no copies included.
    fn original<'s>(&'s self, sample: &'s Sample) -> &'s Sample {
        self.originals.iter().find(|s| s.id == sample.id).unwrap_or(sample)
    }
}

/// `image` with one anomaly more that can be seen, of `count` in all.
fn paste_one(
    image: &RgbImage,
    tones: Option<&Tones>,
    kind: PastedKind,
    count: u32,
    recipe: &str,
) -> RgbImage {
    let mut last = None;
    for attempt in 0..2 * ATTEMPTS {
        let kind = if attempt < ATTEMPTS { kind } else { PastedKind::Texture };
        let mut draw = Draw::new(&format!("{recipe} {attempt}"));
        let spot = Spot::new(image, count, &mut draw);
        let (pasted, area) = kind.paste(image, tones, &spot, &mut draw);
        let seen = difference(image, &pasted).as_raw().iter().filter(|v| **v != 0).count();
        last = Some(pasted);
        if seen > 0 && seen as f32 >= VISIBLE_SHARE * area {
            break;
        }
    }
    last.unwrap_or_else(|| image.clone())
}

/// Like `bottle/test/cut_paste/bottle_train_good_000-1.png`: unique, and a path in the layout of MVTec AD.
fn copy_id(class: &str, original: &Sample, kind: PastedKind, copy: usize) -> String {
    let stem = original.id.rsplit_once('.').map_or(&*original.id, |(stem, _)| stem);
    format!("{class}/test/{}/{}-{copy}.png", kind.name(), stem.replace('/', "_"))
}

impl Dataset for PastedSet {
    fn name(&self) -> &str {
        "pasted"
    }

    fn classes(&self) -> &[String] {
        self.base.classes()
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
        let Some((original, kind)) = self.copy(sample)? else {
            return self.base.content_hash(self.original(sample));
        };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.base.content_hash(original)?);
        let recipe = format!("pasted {GENERATOR} {} {} {}", self.seed, kind.name(), sample.id);
        Ok(*hasher.update(recipe.as_bytes()).finalize().as_bytes())
    }
}
