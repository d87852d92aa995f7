//! The samples of an experiment, checked before hours are spent.

use crate::config::Config;
use crate::error::ExperimentError;
use crate::progress::{Event, Observer};
use hgad_datasets::{Dataset, Descriptor, Sample, Split, SyntheticConfig, SyntheticSet};
use std::path::{Path, PathBuf};

/// A data set and its samples in two parts.
pub struct Data {
    /// Where pixels come from.
    pub dataset: Box<dyn Dataset>,
    /// Normal samples to train on.
    pub train: Vec<Sample>,
    /// Samples to test on, class by class.
    pub test: Vec<Sample>,
}

/// The data set that `config` names.
///
/// # Errors
/// Its folder is missing or not as its layout says.
pub fn open(config: &Config) -> Result<Data, ExperimentError> {
    let set = &config.data.set;
    let dataset: Box<dyn Dataset> = if set == "synthetic" {
        let s = &config.data.synthetic;
        Box::new(SyntheticSet::new(SyntheticConfig {
            seed: config.seed,
            size: s.size,
            train_per_class: s.train,
            test_good_per_class: s.test_good,
            test_anomalous_per_class: s.test_anomalous,
            difficulty: s.difficulty as f32,
        })?)
    } else {
        descriptor(set)?.open(&root(&config.data.root))?
    };
    let of = |split| dataset.samples().iter().filter(|s| s.split == split).cloned().collect();
    let (train, test) = (of(Split::Train), of(Split::Test));
    Ok(Data { dataset, train, test })
}

/// The descriptor of that name, or at that path (.toml).
///
/// # Errors
/// There is none, or it is not valid.
pub fn descriptor(set: &str) -> Result<Descriptor, ExperimentError> {
    Ok(if set.ends_with(".toml") {
        Descriptor::read(Path::new(set))?
    } else {
        Descriptor::by_name(set)?
    })
}

/// The data root: the setting, else HGAD_DATA, else `data`.
pub fn root(setting: &Path) -> PathBuf {
    if !setting.as_os_str().is_empty() {
        return setting.into();
    }
    std::env::var_os("HGAD_DATA").filter(|v| !v.is_empty()).map_or("data".into(), PathBuf::from)
}

/// Decodes every one of `samples` that `needs_check` names; those that fail are an error that
/// lists them, or are left out with a warning where `data.skip_unreadable` says so.
///
/// # Errors
/// Unreadable images.
pub fn check_readable(
    config: &Config,
    dataset: &dyn Dataset,
    samples: Vec<Sample>,
    needs_check: impl Fn(&Sample) -> bool,
    observer: &dyn Observer,
) -> Result<Vec<Sample>, ExperimentError> {
    let (suspects, mut good): (Vec<Sample>, Vec<Sample>) =
        samples.iter().cloned().partition(|s| needs_check(s));
    if suspects.is_empty() {
        return Ok(samples);
    }
    let what = format!("checking {} images", suspects.len());
    observer.event(Event::Begin { what: &what, total: suspects.len() as u64, unit: "images" });
    let bad = hgad_datasets::find_unreadable(dataset, &suspects, |done| {
        observer.event(Event::Advance { done: done as u64, state: "" });
    });
    observer.event(Event::End);
    if bad.is_empty() {
        return Ok(samples);
    }
    if !config.data.skip_unreadable {
        let list: Vec<String> = bad.iter().take(10).map(|(_, e)| format!("  {e}")).collect();
        return Err(ExperimentError::Unreadable { count: bad.len(), list: list.join("\n") });
    }
    for (_, error) in &bad {
        observer.event(Event::Warning(&format!("left out: {error}")));
    }
    let bad: std::collections::HashSet<usize> = bad.iter().map(|(i, _)| *i).collect();
    good.extend(suspects.into_iter().enumerate().filter(|(i, _)| !bad.contains(i)).map(|(_, s)| s));
    let kept: std::collections::HashSet<&str> = good.iter().map(|s| s.id.as_str()).collect();
    Ok(samples.iter().filter(|s| kept.contains(s.id.as_str())).cloned().collect())
}
