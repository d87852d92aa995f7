//! Features of all samples, computed once.

use crate::cache::{self, CachedMaps, Extractor, FeatureCache, Precision, bytes_text};
use crate::config::Config;
use crate::data::Data;
use crate::error::ExperimentError;
use crate::model::LevelShape;
use crate::native_size::native_sizes;
use crate::options::options;
use crate::progress::{Event, Observer};
use candle_core::{Device, Tensor};
use hgad_backbones::{Backbone, BackboneSpec, Patches, extract_pyramid, map_sizes};
use hgad_datasets::{Dataset, DatasetError, Sample, Source, Transform, load_ahead};
use rayon::prelude::*;
use std::collections::HashSet;

/// Images that go through the backbone together.
const BATCH: usize = 8;

/// Samples with features in the cache.
pub struct Features {
    cache: FeatureCache,
    /// The samples to train on.
    pub train: Vec<Sample>,
    /// Normal samples that are not trained on, to calibrate with.
    pub held_out: Vec<Sample>,
    /// The samples to test on.
    pub test: Vec<Sample>,
    /// By class, the size of the pyramid that its images have by nature, as an index from the largest.
    pub native: Vec<usize>,
    train_content: Vec<[u8; 32]>,
    held_out_content: Vec<[u8; 32]>,
    test_content: Vec<[u8; 32]>,
    /// How images become tensors, for masks and pictures.
    pub transform: Transform,
    /// Hash of the backbone, for the model's file.
    pub fingerprint: String,
}

/// Which samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Those to train on.
    Train,
    /// Those to calibrate with.
    HeldOut,
    /// Those to test on.
    Test,
}

impl Features {
    /// Sizes of the maps of one image.
    pub fn shapes(&self) -> &[LevelShape] {
        &self.cache.extractor().levels
    }

    /// The samples of one part.
    pub fn samples(&self, part: Part) -> &[Sample] {
        match part {
            Part::Train => &self.train,
            Part::HeldOut => &self.held_out,
            Part::Test => &self.test,
        }
    }

    /// Indices of the samples of one part that are of `class`.
    pub fn of_class(&self, part: Part, class: usize) -> Vec<usize> {
        let samples = self.samples(part);
        (0..samples.len()).filter(|i| samples[*i].class == class).collect()
    }

    /// At most `count` of [`Features::of_class`], evenly spaced.
    pub(crate) fn some_of_class(&self, part: Part, class: usize, count: usize) -> Vec<usize> {
        let all = self.of_class(part, class);
        let every = all.len().div_ceil(count).max(1);
        all.into_iter().step_by(every).collect()
    }

    /// The maps of one sample.
    ///
    /// # Errors
    /// The cache was cleared meanwhile, or I/O.
    pub fn maps(&self, part: Part, sample: usize) -> Result<CachedMaps<'_>, ExperimentError> {
        let contents = match part {
            Part::Train => &self.train_content,
            Part::HeldOut => &self.held_out_content,
            Part::Test => &self.test_content,
        };
        self.cache.get(&contents[sample])?.ok_or_else(|| ExperimentError::File {
            path: self.cache.folder().into(),
            reason: format!(
                "the features of {} were removed while they were needed; run again",
                self.samples(part)[sample].id
            ),
        })
    }
}

impl Features {
    /// Reads the map of one level of the `i`-th of `samples`.
    pub(crate) fn reader<'a>(
        &'a self,
        part: Part,
        samples: &'a [usize],
        level: usize,
    ) -> impl FnMut(usize, &mut Vec<f32>) -> Result<(), ExperimentError> + 'a {
        move |i, x| {
            x.extend_from_slice(&self.maps(part, samples[i])?.level(level));
            Ok(())
        }
    }
}

/// The backbone that `config` names.
pub(crate) fn backbone_spec(config: &Config) -> BackboneSpec {
    BackboneSpec {
        kind: config.backbone.kind.clone(),
        weights: Some(config.backbone.weights.clone()).filter(|w| !w.as_os_str().is_empty()),
        taps: config.backbone.taps.clone(),
        blocks: config.backbone.blocks.clone(),
        options: options(&config.backbone.options),
        ..Default::default()
    }
}

/// What is made of the backbone's maps.
pub(crate) fn patches(config: &Config) -> Patches {
    let f = &config.features;
    Patches { margin: f.margin, neighbourhood: f.neighbourhood, join: f.join }
}

/// From images to what `backbone` takes.
pub(crate) fn transform(config: &Config, backbone: &dyn Backbone) -> Transform {
    let n = backbone.normalization();
    Transform { img_size: config.data.img_size, mean: n.mean, std: n.std }
}

/// The backbone that `config` names, and the sizes of its maps.
///
/// # Errors
/// Weights that do not fit; images too small for the pyramid.
pub fn open_backbone(
    config: &Config,
) -> Result<(Box<dyn Backbone>, Vec<LevelShape>), ExperimentError> {
    let backbone = hgad_backbones::build(&backbone_spec(config))?;
    let sizes = map_sizes(
        backbone.as_ref(),
        config.data.img_size,
        config.backbone.pyramid,
        &patches(config),
    )?;
    let shape = |(height, width, channels)| LevelShape { height, width, channels };
    Ok((backbone, sizes.into_iter().map(shape).collect()))
}

/// The features of every sample of `data`: from the cache, and computed where they are not there.
///
/// # Errors
/// Unreadable images; weights that do not fit; a full disk.
pub fn prepare(
    config: &Config,
    data: &Data,
    observer: &dyn Observer,
) -> Result<Features, ExperimentError> {
    let (backbone, levels) = open_backbone(config)?;
    let transform = transform(config, backbone.as_ref());
    let fingerprint = backbone.fingerprint();
    let extractor = Extractor {
        backbone: backbone.name().into(),
        fingerprint: fingerprint.clone(),
        transform: transform.fingerprint(),
        patches: patches(config).fingerprint(),
        img_size: config.data.img_size,
        levels,
        precision: if config.cache.dtype == "f16" { Precision::F16 } else { Precision::F32 },
    };
    let cache = FeatureCache::open(&cache::root(&config.cache.dir), extractor)?;
    let dataset = data.dataset.as_ref();

    let samples: Vec<&Sample> = data.train.iter().chain(&data.held_out).chain(&data.test).collect();
    let contents: Vec<Result<[u8; 32], DatasetError>> =
        samples.par_iter().map(|s| dataset.content_hash(s)).collect();
    let mut unreadable = Unreadable::new(config, observer);
    // Masks are needed last; one that cannot be read is told before hours of work.
    // What is drawn has no file that could be broken, and what has features was looked at before.
    let masks: Vec<Option<DatasetError>> = samples
        .par_iter()
        .zip(&contents)
        .map(|(s, content)| match (&s.source, content) {
            (Source::Generated(_), _) => None,
            (_, Ok(content)) if cache.contains(content) => None,
            _ => dataset.mask(s).err(),
        })
        .collect();
    let mut missing: Vec<(Sample, [u8; 32])> = Vec::new();
    for ((sample, content), mask) in samples.iter().zip(&contents).zip(masks) {
        match (content, mask) {
            (_, Some(error)) => unreadable.add(sample, &error),
            (Err(error), None) => unreadable.add(sample, error),
            (Ok(content), None) if !cache.contains(content) => {
                missing.push(((*sample).clone(), *content));
            }
            _ => {}
        }
    }
    if !missing.is_empty() {
        let size = cache.extractor().file_len() * missing.len() as u64;
        observer.event(Event::Note(&format!(
            "features of {} images go to {} ({}; clear with `hgad cache clear`)",
            missing.len(),
            cache.folder().display(),
            bytes_text(size)
        )));
        cache.require_space(missing.len())?;
        let backbone = backbone.as_ref();
        extract(config, dataset, backbone, &transform, &cache, &missing, &mut unreadable)?;
    }
    let left_out = unreadable.finish()?;
    let keep = |part: &[Sample], contents: &[Result<[u8; 32], DatasetError>]| {
        let pairs = part.iter().zip(contents).filter(|(s, _)| !left_out.contains(&s.id));
        pairs.filter_map(|(s, c)| Some((s.clone(), *c.as_ref().ok()?))).unzip()
    };
    let (train, train_content): (Vec<Sample>, _) = keep(&data.train, &contents[..data.train.len()]);
    let (held_out_from, test_from) = (data.train.len(), data.train.len() + data.held_out.len());
    let (held_out, held_out_content) = keep(&data.held_out, &contents[held_out_from..test_from]);
    let (test, test_content) = keep(&data.test, &contents[test_from..]);
    Ok(Features {
        cache,
        native: native_sizes(config, dataset, &train)?,
        train,
        held_out,
        test,
        train_content,
        held_out_content,
        test_content,
        transform,
        fingerprint,
    })
}

/// Images and masks that cannot be read: told when they are met, and at the end an error that lists
/// them, or left out where `data.skip_unreadable` says so. The others' features are kept either way.
struct Unreadable<'a> {
    skip: bool,
    observer: &'a dyn Observer,
    ids: HashSet<String>,
    list: Vec<String>,
}

impl<'a> Unreadable<'a> {
    fn new(config: &Config, observer: &'a dyn Observer) -> Self {
        let skip = config.data.skip_unreadable;
        Self { skip, observer, ids: HashSet::new(), list: Vec::new() }
    }

    fn add(&mut self, sample: &Sample, error: &DatasetError) {
        if !self.ids.insert(sample.id.clone()) {
            return;
        }
        let what = if self.skip { "left out" } else { "stops the run once the rest is read" };
        self.observer.event(Event::Warning(&format!("{what}: {error}")));
        self.list.push(format!("  {error}"));
    }

    /// Names of the samples that are left out.
    fn finish(self) -> Result<HashSet<String>, ExperimentError> {
        if self.ids.is_empty() || self.skip {
            return Ok(self.ids);
        }
        let list = self.list[..self.list.len().min(10)].join("\n");
        Err(ExperimentError::Unreadable { count: self.ids.len(), list })
    }
}

fn extract(
    config: &Config,
    dataset: &dyn Dataset,
    backbone: &dyn Backbone,
    transform: &Transform,
    cache: &FeatureCache,
    missing: &[(Sample, [u8; 32])],
    unreadable: &mut Unreadable,
) -> Result<(), ExperimentError> {
    let observer = unreadable.observer;
    let what = format!("features ({})", config.backbone.kind);
    observer.event(Event::Begin { what: &what, total: missing.len() as u64, unit: "images" });
    let side = config.data.img_size;
    let levels = config.backbone.pyramid;
    std::thread::scope(|scope| {
        let ahead = 2 * BATCH + rayon::current_num_threads();
        let mut loaded = load_ahead(scope, missing, ahead, |(sample, _)| {
            dataset.image(sample).and_then(|i| transform.image(&i))
        });
        let mut done = 0;
        while done < missing.len() {
            let mut pixels: Vec<f32> = Vec::with_capacity(BATCH * side * side * 3);
            let mut members = Vec::with_capacity(BATCH);
            for (index, image) in loaded.by_ref().take(BATCH) {
                done += 1;
                match image {
                    Ok(image) => {
                        pixels.extend(image);
                        members.push(&missing[index]);
                    }
                    Err(error) => unreadable.add(&missing[index].0, &error),
                }
            }
            if members.is_empty() {
                continue;
            }
            let images = Tensor::from_vec(pixels, (members.len(), side, side, 3), &Device::Cpu)?;
            let maps = extract_pyramid(backbone, &images, levels, &patches(config))?;
            let maps: Vec<Vec<f32>> =
                maps.iter().map(|m| m.flatten_all()?.to_vec1::<f32>()).collect::<Result<_, _>>()?;
            members.par_iter().enumerate().try_for_each(|(i, (sample, content))| {
                let own: Vec<Vec<f32>> = maps
                    .iter()
                    .zip(&cache.extractor().levels)
                    .map(|(m, shape)| m[i * shape.len()..(i + 1) * shape.len()].to_vec())
                    .collect();
                if !own.iter().flatten().all(|v| v.is_finite()) {
                    return Err(ExperimentError::Features { id: sample.id.clone() });
                }
                cache.put(content, &own)
            })?;
            observer.event(Event::Advance { done: done as u64, state: "" });
        }
        observer.event(Event::End);
        Ok(())
    })
}
