//! What a deployed model knows of normal images: constants, score distributions, thresholds.

use crate::config::{CalibrationConfig, Config};
use crate::error::ExperimentError;
use crate::evaluate::{NORMAL_IMAGES, map_config, score_rule};
use crate::features::{Features, Part};
use crate::model::{LevelModel, Model};
use crate::predict::{combine_evidence, positions};
use crate::progress::{Event, Observer};
use hgad_scores::{
    ClassCalibration, Evidence, LevelScores, MapConfig, Normal, Reference, Threshold, Wanted,
    atypicality, class_margin, smallest_rate,
};
use serde::{Deserialize, Serialize};

/// The calibration of a model, kept in its file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// What maps are made of.
    pub evidence: Evidence,
    /// Size and filter of maps.
    pub map: MapConfig,
    /// The rates it was made for; thresholds of others follow from the same scores.
    pub rates: CalibrationConfig,
    /// By class, in the order of the model's.
    pub classes: Vec<CalibratedClass>,
    /// Foreignness of the calibration images of all classes together, each under its own.
    pub foreign: Reference,
}

impl Calibration {
    /// Whether its scores are of the rules as they are now; those of an earlier version's are not.
    pub fn is_current(&self) -> bool {
        let mut normal = self.classes.iter().flat_map(|c| &c.constants.normal);
        normal.all(|n| n.revision == Normal::REVISION)
    }
}

/// One class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibratedClass {
    /// Whether its images were held out from training; else the model knew them, and thresholds
    /// promise nothing.
    pub held_out: bool,
    /// The constants.
    pub constants: ClassCalibration,
}

impl CalibratedClass {
    /// Its calibration images.
    pub fn images(&self) -> usize {
        self.constants.scores.len()
    }

    /// The threshold of image scores for a false-alarm rate.
    pub fn threshold(&self, rate: f64) -> Threshold {
        self.constants.scores.threshold(rate)
    }

    /// Whether the threshold for `rate` comes with the conformal guarantee.
    pub fn guarantees(&self, rate: f64) -> bool {
        self.held_out && self.threshold(rate).supported
    }

    /// Why there is no guarantee for `rate`, and what to do; `None` where there is one.
    pub fn caveat(&self, rate: f64) -> Option<String> {
        let (n, least) = (self.images(), smallest_rate(self.images()));
        if !self.held_out {
            return Some(format!(
                "its {n} calibration images were trained on: the threshold promises nothing; hold some out with calibration.share above 0"
            ));
        }
        (!self.threshold(rate).supported).then(|| {
            format!(
                "{n} held-out images are too few for a false-alarm rate of {rate}: the smallest they support is 1/{} = {least:.3}; the threshold is extrapolated and promises nothing",
                n + 1
            )
        })
    }
}

/// What maps of a deployed model are made of: as the score rule of `config` where it is one of the
/// four, else the paper's, or likelihood alone under a prior without classes.
fn evidence(config: &Config, model: &Model) -> Result<Evidence, ExperimentError> {
    let rule = score_rule(config, model)?;
    let has_classes = model.has_classes()?;
    let usual = if has_classes { Evidence::Product } else { Evidence::Likelihood };
    Ok(Evidence::named(rule.name()).unwrap_or(usual))
}

/// The margin of each of some images of `class` over the other classes; none where there are none.
fn margins(
    model: &Model,
    features: &Features,
    part: Part,
    samples: &[usize],
    class: usize,
    chunk: usize,
) -> Result<Vec<f64>, ExperimentError> {
    if !model.has_classes()? {
        return Ok(Vec::new());
    }
    let of_level = |(l, level): (usize, &LevelModel)| {
        let read = features.reader(part, samples, l);
        level.class_evidence(samples.len(), chunk, read)
    };
    let levels = model.levels.iter().enumerate().map(of_level).collect::<Result<_, _>>()?;
    let evidence = combine_evidence(model, levels)?;
    let positions = positions(model);
    let rows = evidence.chunks_exact(model.classes.len().max(1));
    Ok(rows.filter_map(|row| class_margin(row, class, positions)).collect())
}

/// Score terms of some normal images of one class.
struct NormalImages {
    images: usize,
    levels: Vec<LevelScores>,
    /// As [`margins`].
    margins: Vec<f64>,
}

impl NormalImages {
    fn margins(&self) -> Option<&[f64]> {
        (!self.margins.is_empty()).then_some(&self.margins)
    }
}

/// Of at most `count` images of `class` of `part`, with the entropy where it is wanted.
fn of_images(
    model: &Model,
    features: &Features,
    part: Part,
    class: usize,
    entropy: bool,
    chunk: usize,
    count: usize,
) -> Result<NormalImages, ExperimentError> {
    let samples = features.some_of_class(part, class, count);
    let labels = vec![class as u32; samples.len()];
    let wanted = Wanted { entropy, remembered: part == Part::Train };
    let of_level = |(l, level): (usize, &LevelModel)| {
        level.scores(&labels, wanted, chunk, features.reader(part, &samples, l))
    };
    Ok(NormalImages {
        images: samples.len(),
        levels: model.levels.iter().enumerate().map(of_level).collect::<Result<_, _>>()?,
        margins: margins(model, features, part, &samples, class, chunk)?,
    })
}

/// Calibrates `model`: constants from images it was trained on, scores of reference from those that were
/// held out, so that a new normal image is exchangeable with them; a class without held-out images is its own
/// reference, and promises nothing.
///
/// # Errors
/// What scoring gives; a class without normal images.
pub fn calibrate(
    config: &Config,
    model: &Model,
    features: &Features,
    observer: &dyn Observer,
) -> Result<Calibration, ExperimentError> {
    model.track(false);
    let evidence = evidence(config, model)?;
    let entropy = evidence.has_entropy();
    let map = map_config(config);
    let chunk = config.train.chunk.max(4096);
    let total = model.classes.len() as u64;
    observer.event(Event::Begin { what: "calibrating", total, unit: "classes" });
    let mut classes = Vec::with_capacity(model.classes.len());
    let mut foreign = Vec::new();
    for (class, name) in model.classes.iter().enumerate() {
        let held = of_images(model, features, Part::HeldOut, class, entropy, chunk, usize::MAX)?;
        // Without others they are the reference too, and there all count.
        let count = if held.images > 0 { NORMAL_IMAGES } else { usize::MAX };
        let known = of_images(model, features, Part::Train, class, entropy, chunk, count)?;
        let own = MapConfig { native: features.native[class], ..map.clone() };
        let fitted =
            ClassCalibration::fit(evidence, known.images, &known.levels, known.margins(), &own)?;
        let held_out = held.images > 0;
        let (judged, constants) = match held_out {
            true => {
                let constants = fitted.with_reference(evidence, held.images, &held.levels, &map)?;
                (held, constants)
            }
            false => (known, fitted),
        };
        foreign.extend((0..judged.images).map(|i| {
            let margin = judged.margins.get(i).copied();
            constants.foreignness(atypicality(&judged.levels, i), margin) as f32
        }));
        classes.push(CalibratedClass { held_out, constants });
        observer.event(Event::Advance { done: class as u64 + 1, state: name });
    }
    observer.event(Event::End);
    let nothing = hgad_scores::ScoreError::NothingToCalibrate;
    let foreign = Reference::new(foreign).ok_or(nothing)?;
    Ok(Calibration { evidence, map, rates: config.calibration.clone(), classes, foreign })
}
