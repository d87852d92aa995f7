//! Features of all samples, computed once.

use crate::cache::{self, CachedMaps, Extractor, FeatureCache, Precision, bytes_text};
use crate::config::Config;
use crate::data::{self, Data};
use crate::error::ExperimentError;
use crate::model::LevelShape;
use crate::progress::{Event, Observer};
use candle_core::{Device, Tensor};
use hgad_backbones::{Backbone, BackboneSpec, extract_pyramid, map_sizes};
use hgad_datasets::{Dataset, Sample, Source, Transform, load_ahead};
use rayon::prelude::*;

/// Images that go through the backbone together.
const BATCH: usize = 8;

/// Samples with features in the cache.
pub struct Features {
    cache: FeatureCache,
    /// The samples to train on.
    pub train: Vec<Sample>,
    /// The samples to test on.
    pub test: Vec<Sample>,
    train_content: Vec<[u8; 32]>,
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
    /// Those to test on.
    Test,
}

impl Features {
    /// Sizes of the maps of one image.
    pub fn shapes(&self) -> &[LevelShape] {
        &self.cache.extractor().levels
    }

    /// The maps of one sample.
    ///
    /// # Errors
    /// The cache was cleared meanwhile, or I/O.
    pub fn maps(&self, part: Part, sample: usize) -> Result<CachedMaps<'_>, ExperimentError> {
        let (contents, samples) = match part {
            Part::Train => (&self.train_content, &self.train),
            Part::Test => (&self.test_content, &self.test),
        };
        self.cache.get(&contents[sample])?.ok_or_else(|| ExperimentError::File {
            path: self.cache.folder().into(),
            reason: format!(
                "the features of {} were removed while they were needed; run again",
                samples[sample].id
            ),
        })
    }
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
    let backbone = hgad_backbones::build(&BackboneSpec {
        kind: config.backbone.kind.clone(),
        weights: Some(config.backbone.weights.clone()).filter(|w| !w.as_os_str().is_empty()),
        taps: config.backbone.taps.clone(),
        ..Default::default()
    })?;
    let normalization = backbone.normalization();
    let transform = Transform {
        img_size: config.data.img_size,
        mean: normalization.mean,
        std: normalization.std,
    };
    let sizes = map_sizes(backbone.as_ref(), config.data.img_size, config.backbone.pyramid)?;
    let levels = sizes
        .into_iter()
        .map(|(height, width, channels)| LevelShape { height, width, channels })
        .collect();
    let fingerprint = backbone.fingerprint();
    let extractor = Extractor {
        backbone: backbone.name().into(),
        fingerprint: fingerprint.clone(),
        transform: transform.fingerprint(),
        img_size: config.data.img_size,
        levels,
        precision: if config.cache.dtype == "f16" { Precision::F16 } else { Precision::F32 },
    };
    let cache = FeatureCache::open(&cache::root(&config.cache.dir), extractor)?;
    let dataset = data.dataset.as_ref();

    // What has features has been decoded before under the same content, and what is drawn has no
    // file that could be broken: neither needs a check.
    let known = |s: &Sample| {
        matches!(s.source, Source::Generated(_))
            || dataset.content_hash(s).is_ok_and(|h| cache.contains(&h))
    };
    let check = |samples: &[Sample]| {
        let unknown: std::collections::HashSet<String> =
            samples.par_iter().filter(|s| !known(s)).map(|s| s.id.clone()).collect();
        data::check_readable(
            config,
            dataset,
            samples.to_vec(),
            |s| unknown.contains(&s.id),
            observer,
        )
    };
    let (train, test) = (check(&data.train)?, check(&data.test)?);
    let contents = |samples: &[Sample]| -> Result<Vec<[u8; 32]>, ExperimentError> {
        Ok(samples.par_iter().map(|s| dataset.content_hash(s)).collect::<Result<_, _>>()?)
    };
    let (train_content, test_content) = (contents(&train)?, contents(&test)?);

    let all = train.iter().zip(&train_content).chain(test.iter().zip(&test_content));
    let missing: Vec<(Sample, [u8; 32])> = all
        .filter(|(_, content)| !cache.contains(content))
        .map(|(s, content)| (s.clone(), *content))
        .collect();
    if !missing.is_empty() {
        let size = cache.extractor().file_len() * missing.len() as u64;
        observer.event(Event::Note(&format!(
            "features of {} images go to {} ({}; clear with `hgad cache clear`)",
            missing.len(),
            cache.folder().display(),
            bytes_text(size)
        )));
        cache.require_space(missing.len())?;
        extract(config, dataset, backbone.as_ref(), &transform, &cache, &missing, observer)?;
    }
    Ok(Features { cache, train, test, train_content, test_content, transform, fingerprint })
}

fn extract(
    config: &Config,
    dataset: &dyn Dataset,
    backbone: &dyn Backbone,
    transform: &Transform,
    cache: &FeatureCache,
    missing: &[(Sample, [u8; 32])],
    observer: &dyn Observer,
) -> Result<(), ExperimentError> {
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
                pixels.extend(image?);
                members.push(&missing[index]);
            }
            let images = Tensor::from_vec(pixels, (members.len(), side, side, 3), &Device::Cpu)?;
            let maps = extract_pyramid(backbone, &images, levels)?;
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
            done += members.len();
            observer.event(Event::Advance { done: done as u64, state: "" });
        }
        observer.event(Event::End);
        Ok(())
    })
}
