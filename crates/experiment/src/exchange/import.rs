//! A run folder from a checkpoint of the authors' code.

use crate::atomic;
use crate::compose::compose_with;
use crate::config::Config;
use crate::data;
use crate::error::ExperimentError;
use crate::exchange::{Checkpoint, Origin, Sizes};
use crate::features;
use crate::model::{LevelShape, Model};
use crate::model_file::{self, ModelHeader};
use crate::progress::{Event, Observer};
use crate::run_folder::RunFolder;
use candle_core::Device;
use hgad_datasets::DatasetError;
use std::path::PathBuf;
use toml::{Table, Value};

/// What is to be imported, and what the file does not say.
#[derive(Clone, Debug, Default)]
pub struct ImportRequest {
    /// The checkpoint.
    pub file: PathBuf,
    /// Experiment with the data set, the backbone and the image size it was trained with.
    pub experiment: String,
    /// Overrides of its settings, like `data.img_size=512`.
    pub set: Vec<String>,
    /// Names of the file's classes, in the order of their indices there; without, those of the data
    /// set in the order of their names, as the authors' code has them.
    pub classes: Option<Vec<String>>,
    /// Folder of the run; without, a new one in `run.dir/NAME-imported`.
    pub out: Option<PathBuf>,
}

/// An imported model.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Its folder, which evaluating and predicting accept.
    pub run: RunFolder,
    /// What was read off the shapes.
    pub sizes: Sizes,
    /// Classes of the model.
    pub classes: Vec<String>,
    /// Passes over the data it has seen.
    pub passes: usize,
    /// Names in the file that the model has no use for.
    pub ignored: Vec<String>,
}

/// Imports a checkpoint. The backbone is opened, for the sizes of its maps and for its hash; the
/// data set is asked for its classes where it is there.
///
/// # Errors
/// A file that is no such checkpoint; settings that do not fit its shapes; a backbone of other
/// channels; classes of another number; a folder that is taken.
pub fn import(
    request: &ImportRequest,
    observer: &dyn Observer,
) -> Result<Imported, ExperimentError> {
    let mut checkpoint = Checkpoint::open(&request.file)?;
    let sizes = checkpoint.sizes;
    let config = configuration(request, &sizes)?;
    is_theirs(request, &config)?;
    let (backbone, shapes) = features::open_backbone(&config)?;
    fits(request, &sizes, &config, &shapes)?;
    let (classes, order) = classes(request, &sizes, &config, observer)?;
    let model = Model::new(&config, &shapes, &classes, &Device::Cpu)?;
    model.load(&checkpoint.state(&order)?)?;
    let run = match &request.out {
        Some(path) => RunFolder::create_at(path, &config)?,
        None => RunFolder::create(&config)?,
    };
    let origin = Origin::of(&request.file, &checkpoint)?;
    // First, so that the folder is never taken for one of a run that was stopped.
    let text = serde_json::to_vec_pretty(&origin).unwrap_or_default();
    atomic::write_bytes(&run.origin(), &text)?;
    let passes = checkpoint.passes();
    let fingerprint = backbone.fingerprint();
    let weights = model_file::backbone_weights(&config, &fingerprint)?;
    let header = ModelHeader {
        config,
        shapes,
        classes: classes.clone(),
        backbone: fingerprint,
        passes,
        calibration: None,
        normalization: None,
    };
    model_file::save(&run.model(), &model, &header, weights.as_ref())?;
    Ok(Imported { run, sizes, classes, passes, ignored: checkpoint.ignored })
}

/// The experiment's configuration with what the shapes say.
fn configuration(request: &ImportRequest, sizes: &Sizes) -> Result<Config, ExperimentError> {
    let numbers = [
        ("flow", "blocks", sizes.blocks),
        ("flow", "condition", sizes.condition),
        ("flow", "hidden_factor", sizes.hidden_factor),
        ("prior", "centers", sizes.centers),
    ];
    // The covariances of the authors' code are the identity, its weights learned.
    let words = [
        ("prior", "kind", "hierarchical"),
        ("prior", "covariance", "identity"),
        ("prior", "weights", "learned"),
    ];
    let numbers = numbers.map(|(t, k, v)| (t, k, Value::Integer(v as i64)));
    let words = words.map(|(t, k, v)| (t, k, Value::String(v.into())));
    // It was trained on all images, so none are held out of its calibration.
    let mut over = toml::toml! { calibration = { share = 0.0 } };
    let asked: Vec<(&str, &str)> = request
        .set
        .iter()
        .filter_map(|s| s.split_once('='))
        .map(|(k, v)| (k.trim(), v.trim()))
        .collect();
    for (table, key, value) in numbers.into_iter().chain(words) {
        let name = format!("{table}.{key}");
        let said = value.as_str().map_or_else(|| value.to_string(), str::to_string);
        if let Some((_, other)) =
            asked.iter().find(|(k, v)| *k == name && v.trim_matches('"') != said)
        {
            let file = request.file.display();
            return Err(ExperimentError::Override {
                text: format!("{name}={other}"),
                reason: format!("{file} has {said}; leave it to the file"),
            });
        }
        let entry = over.entry(table.to_string()).or_insert_with(|| Value::Table(Table::new()));
        if let Value::Table(t) = entry {
            t.insert(key.into(), value);
        }
    }
    let config = compose_with(&request.experiment, &request.set, over.clone())?;
    if asked.iter().any(|(k, _)| *k == "name") {
        return Ok(config);
    }
    // A name of its own: these runs are not the experiment's to go on with.
    over.insert("name".into(), Value::String(format!("{}-imported", config.name)));
    compose_with(&request.experiment, &request.set, over)
}

/// Whether the flow is the one that the authors' code has: coupling blocks with fixed rotations.
fn is_theirs(request: &ImportRequest, config: &Config) -> Result<(), ExperimentError> {
    let (kind, permutation) = (&config.flow.kind, config.flow.permutation.as_str());
    let wrong = |key: &'static str, value: &str, has: &str, usual: &str| {
        let (file, experiment) = (request.file.display(), &request.experiment);
        Err(ExperimentError::Setting {
            key,
            value: value.into(),
            reason: format!(
                "{file} is of the authors' code, which has {has}; leave {key} out of --set, or where the experiment {experiment} sets it import with --set {key}={usual}"
            ),
        })
    };
    if kind != "coupling" {
        return wrong("flow.kind", kind, "no flow but coupling", "coupling");
    }
    if !["", "soft", "hard"].contains(&permutation) {
        let has = "fixed permutations alone";
        return wrong("flow.permutation", permutation, has, "soft");
    }
    Ok(())
}

/// Whether the flows of the file take the maps of the configured backbone.
fn fits(
    request: &ImportRequest,
    sizes: &Sizes,
    config: &Config,
    shapes: &[LevelShape],
) -> Result<(), ExperimentError> {
    if shapes.len() == sizes.levels && shapes.iter().all(|s| s.channels == sizes.dim) {
        return Ok(());
    }
    let channels: Vec<String> = shapes.iter().map(|s| s.channels.to_string()).collect();
    Err(ExperimentError::File {
        path: request.file.clone(),
        reason: format!(
            "it has {} level(s) of {} channels; {} with backbone.taps={:?} and backbone.pyramid={} gives {} level(s) of {}. Name what it was trained on, as with --set backbone.kind=tf_efficientnet_b6 --set backbone.pyramid={}",
            sizes.levels,
            sizes.dim,
            config.backbone.kind,
            config.backbone.taps,
            config.backbone.pyramid,
            shapes.len(),
            channels.join(", "),
            sizes.levels,
        ),
    })
}

/// The model's classes in the order of the data set, and the place of each in the file.
fn classes(
    request: &ImportRequest,
    sizes: &Sizes,
    config: &Config,
    observer: &dyn Observer,
) -> Result<(Vec<String>, Vec<usize>), ExperimentError> {
    let known = known_classes(config, observer)?;
    let wrong = |reason: String| ExperimentError::File { path: request.file.clone(), reason };
    let named = request.classes.clone().or_else(|| known.clone()).ok_or_else(|| {
        wrong(format!(
            "it does not name its {} classes and the data set is not here: name them with --classes, in the order of their indices",
            sizes.classes
        ))
    })?;
    if named.len() != sizes.classes {
        let from = if request.classes.is_some() { "--classes names" } else { "the data set has" };
        return Err(wrong(format!(
            "it has {} classes, {from} {}: {}",
            sizes.classes,
            named.len(),
            named.join(", ")
        )));
    }
    let places = |names: &[String]| -> Option<Vec<usize>> {
        names.iter().map(|n| named.iter().position(|m| m == n)).collect()
    };
    let Some(known) = known else {
        let order = places(&named).unwrap_or_default();
        return Ok((named, order));
    };
    let different = || {
        wrong(format!(
            "--classes names {}; the data set has {}",
            named.join(", "),
            known.join(", ")
        ))
    };
    let order = places(&known).filter(|o| o.len() == named.len()).ok_or_else(different)?;
    Ok((known, order))
}

/// The classes of the data set: of its folder, or where that is missing of its descriptor.
fn known_classes(
    config: &Config,
    observer: &dyn Observer,
) -> Result<Option<Vec<String>>, ExperimentError> {
    let missing = match data::open(config) {
        Ok(data) => return Ok(Some(data.dataset.classes().to_vec())),
        Err(ExperimentError::Dataset(e @ DatasetError::RootMissing(_))) => e,
        Err(e) => return Err(e),
    };
    let descriptor = data::descriptor(&config.data.set)?;
    let members = match descriptor.members.is_empty() {
        true => vec![descriptor],
        false => {
            descriptor.members.iter().map(|m| data::descriptor(m)).collect::<Result<_, _>>()?
        }
    };
    let joined = members.len() > 1;
    let mut all = Vec::new();
    for member in &members {
        let mut names: Vec<String> = member.classes.iter().map(|c| c.name.clone()).collect();
        // Data sets have their classes in the order of their names.
        names.sort();
        let named = |n| if joined { format!("{}/{n}", member.name) } else { n };
        all.extend(names.into_iter().map(named));
    }
    if all.is_empty() {
        return Ok(None);
    }
    let first = missing.to_string().lines().next().unwrap_or_default().to_string();
    observer.event(Event::Note(&format!(
        "{first} The classes are those of its descriptor, in the order of their names."
    )));
    Ok(Some(all))
}
