//! The samples of an experiment, checked before hours are spent.

use crate::config::Config;
use crate::error::ExperimentError;
use crate::hold_out::hold_out;
use hgad_datasets::{
    Dataset, Descriptor, PastedKind, PastedSet, Sample, Split, SyntheticConfig, SyntheticSet,
};
use std::path::{Path, PathBuf};

/// A data set and its samples in three parts.
pub struct Data {
    /// Where pixels come from.
    pub dataset: Box<dyn Dataset>,
    /// Normal samples to train on.
    pub train: Vec<Sample>,
    /// Normal samples that are not trained on, to calibrate with.
    pub held_out: Vec<Sample>,
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
    let (train, held_out) = hold_out(of(Split::Train), &config.calibration, config.seed);
    if config.eval.on == "pasted" {
        return pasted(config, dataset, train, held_out);
    }
    let test: Vec<Sample> = of(Split::Test);
    let tested = |class: usize| test.iter().any(|s| s.class == class);
    if let Some(class) = (0..dataset.classes().len()).find(|class| !tested(*class)) {
        return Err(ExperimentError::Setting {
            key: "eval.on",
            value: config.eval.on.clone(),
            reason: format!(
                "class `{}` has no test images; `eval.on=pasted` needs none: it tests on synthetic anomalies pasted on normal images that are held out",
                dataset.classes()[class]
            ),
        });
    }
    Ok(Data { dataset, train, held_out, test })
}

/// The same images to train on, and to test on those held out, as they are and with something pasted on.
fn pasted(
    config: &Config,
    dataset: Box<dyn Dataset>,
    train: Vec<Sample>,
    held_out: Vec<Sample>,
) -> Result<Data, ExperimentError> {
    if held_out.is_empty() {
        return Err(ExperimentError::Setting {
            key: "eval.on",
            value: config.eval.on.clone(),
            reason: "anomalies are pasted on normal images that are held out, and there are none; set calibration.share above 0".into(),
        });
    }
    let (copies, seed) = (config.eval.copies, config.seed);
    let set = PastedSet::new(dataset, held_out.clone(), copies, &PastedKind::ALL, seed);
    let test = set.samples().to_vec();
    Ok(Data { dataset: Box::new(set), train, held_out, test })
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
