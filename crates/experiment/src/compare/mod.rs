//! Runs beside published numbers and beside each other, class by class.

pub mod curve;
mod load;
mod settings;
pub mod text;

pub use settings::Difference;

use crate::config::Config;
use crate::data;
use crate::error::ExperimentError;
use crate::results::{Metrics, Results};
use hgad_datasets::{Descriptor, OtherMethod, Protocol, PublishedResult};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Image and pixel AUROC; in a difference, run less published. `None` where undefined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Pair {
    /// Of image scores.
    pub image_auroc: Option<f64>,
    /// Of pixel scores.
    pub pixel_auroc: Option<f64>,
}

impl Pair {
    fn of(metrics: &Metrics) -> Self {
        Self { image_auroc: metrics.image_auroc, pixel_auroc: metrics.pixel_auroc }
    }

    fn published(r: PublishedResult) -> Self {
        Self { image_auroc: Some(r.image_auroc), pixel_auroc: Some(r.pixel_auroc) }
    }

    fn less(self, other: Self) -> Self {
        let less = |a: Option<f64>, b: Option<f64>| Some(a? - b?);
        Self {
            image_auroc: less(self.image_auroc, other.image_auroc),
            pixel_auroc: less(self.pixel_auroc, other.pixel_auroc),
        }
    }

    fn mean(all: &[Self]) -> Self {
        let of = |part: fn(&Self) -> Option<f64>| {
            let values: Vec<f64> = all.iter().filter_map(part).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        Self { image_auroc: of(|p| p.image_auroc), pixel_auroc: of(|p| p.pixel_auroc) }
    }
}

/// What the authors of the method published on a data set.
#[derive(Clone, Debug, Serialize)]
pub struct Published {
    /// How it was reached.
    pub protocol: Protocol,
    /// Mean over classes.
    pub mean: Pair,
    /// By class, where that was published.
    pub classes: BTreeMap<String, Pair>,
}

/// A run in the comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Column {
    /// Experiment.
    pub name: String,
    /// Run.
    pub id: String,
    /// Its results.
    pub path: PathBuf,
    /// Passes over the data: what it is reported after.
    pub passes: usize,
    /// Whether its settings are others than the published ones.
    pub differs: bool,
    /// By class, after the last pass.
    pub classes: BTreeMap<String, Pair>,
    /// Mean over its classes, after the last pass.
    pub mean: Pair,
    /// The pass with the best mean on the test set, and that mean.
    pub best_on_test: (usize, Pair),
    /// What its means are compared with: the published mean, over its own classes where it does not
    /// have all.
    pub published_mean: Option<Pair>,
    /// [`Column::classes`] less the published.
    pub class_differences: BTreeMap<String, Pair>,
    /// [`Column::mean`] less the published.
    pub mean_difference: Option<Pair>,
    /// The mean of [`Column::best_on_test`] less the published, which was chosen in the same way.
    pub best_difference: Option<Pair>,
}

/// Runs of one data set beside what is published on it.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Full name of the data set.
    pub title: String,
    /// The published numbers, where there are some.
    pub published: Option<Published>,
    /// Other methods, mean only.
    pub others: Vec<OtherMethod>,
    /// The runs, in the order asked for.
    pub runs: Vec<Column>,
    /// All classes, in the order of the data set.
    pub classes: Vec<String>,
    /// Settings that are not the same everywhere, and count.
    pub differences: Vec<Difference>,
}

/// Puts the runs at `paths` side by side: each a run folder, a folder of runs (`runs/NAME`, of which
/// the newest finished one is taken) or a results file. `set` names the data set whose published
/// numbers they go beside, in place of the runs' own.
///
/// # Errors
/// A path without results; runs of different data sets; a data set without published numbers
/// where one is named.
pub fn compare(paths: &[PathBuf], set: Option<&str>) -> Result<Comparison, ExperimentError> {
    let runs = paths
        .iter()
        .map(|path| load::results(path))
        .collect::<Result<Vec<_>, ExperimentError>>()?;
    let Some((first_path, first)) = runs.first() else {
        let reason = "there is nothing to compare; give the folder of a run".into();
        return Err(ExperimentError::Run { path: "runs".into(), reason });
    };
    for (path, run) in &runs[1..] {
        same_data(first_path, first, path, run)?;
    }
    let descriptor = descriptor(first_path, first, set)?;
    let published = descriptor.as_ref().and_then(published);
    let reference = published.as_ref().map(|p| settings::published(&first.settings, &p.protocol));
    let configs: Vec<&Config> = runs.iter().map(|(_, r)| &r.settings).collect();
    let differences = settings::differences(reference.as_ref(), &configs);
    let mut classes: Vec<String> =
        descriptor.iter().flat_map(|d| d.classes.iter().map(|c| c.name.clone())).collect();
    classes.retain(|c| runs.iter().any(|(_, r)| r.classes.contains_key(c)));
    for (_, run) in &runs {
        let new: Vec<_> = run.classes.keys().filter(|c| !classes.contains(c)).cloned().collect();
        classes.extend(new);
    }
    let title = match &descriptor {
        Some(d) => d.title.clone(),
        None => first.settings.data.set.clone(),
    };
    let column = |(i, (path, run)): (usize, (PathBuf, Results))| {
        let differs = reference.is_some() && differences.iter().any(|d| d.differs(i));
        column(path, &run, published.as_ref(), differs)
    };
    let runs: Vec<Column> = runs.into_iter().enumerate().map(column).collect();
    let others = descriptor.map(|d| d.others).unwrap_or_default();
    Ok(Comparison { title, published, others, runs, classes, differences })
}

/// Runs can be compared where their classes are the same, or some are and the data set is.
fn same_data(
    first_path: &Path,
    first: &Results,
    path: &Path,
    run: &Results,
) -> Result<(), ExperimentError> {
    let shared = run.classes.keys().filter(|c| first.classes.contains_key(*c)).count();
    let all = shared == run.classes.len() && shared == first.classes.len();
    if all || (shared > 0 && first.settings.data.set == run.settings.data.set) {
        return Ok(());
    }
    let of = |r: &Results| {
        let names: Vec<&str> = r.classes.keys().map(String::as_str).collect();
        format!("`{}` ({})", r.settings.data.set, names.join(", "))
    };
    let reason = format!(
        "it is a run on {}, {} one on {}; compare runs on one data set",
        of(run),
        first_path.display(),
        of(first)
    );
    Err(ExperimentError::Run { path: path.into(), reason })
}

/// The descriptor of the data set, if it has one.
fn descriptor(
    path: &Path,
    run: &Results,
    set: Option<&str>,
) -> Result<Option<Descriptor>, ExperimentError> {
    let Some(set) = set else { return Ok(data::descriptor(&run.settings.data.set).ok()) };
    let descriptor = data::descriptor(set)?;
    let known = |name: &String| descriptor.classes.iter().any(|c| c.name == *name);
    let fits = descriptor.classes.is_empty() || run.classes.keys().any(known);
    if descriptor.published.is_some() && fits {
        return Ok(Some(descriptor));
    }
    let reason = if fits {
        format!("there are no published numbers on `{set}`; leave --published out")
    } else {
        let names: Vec<&str> = run.classes.keys().map(String::as_str).collect();
        format!("no class of `{set}` is among its own, {}", names.join(", "))
    };
    Err(ExperimentError::Run { path: path.into(), reason })
}

fn published(descriptor: &Descriptor) -> Option<Published> {
    let (result, protocol) = (descriptor.published?, descriptor.protocol.clone()?);
    let of =
        |c: &hgad_datasets::ClassDescriptor| Some((c.name.clone(), Pair::published(c.published?)));
    let classes = descriptor.classes.iter().filter_map(of).collect();
    Some(Published { protocol, mean: Pair::published(result), classes })
}

fn column(path: PathBuf, run: &Results, published: Option<&Published>, differs: bool) -> Column {
    let classes: BTreeMap<String, Pair> =
        run.classes.iter().map(|(name, m)| (name.clone(), Pair::of(m))).collect();
    let (mean, best) = (Pair::of(&run.mean), Pair::of(&run.best_on_test.mean));
    let published_mean = published.map(|p| {
        let complete = p.classes.is_empty() || p.classes.keys().eq(classes.keys());
        let own = || p.classes.iter().filter(|(name, _)| classes.contains_key(*name));
        if complete {
            p.mean
        } else {
            Pair::mean(&own().map(|(_, pair)| *pair).collect::<Vec<_>>())
        }
    });
    let class_differences = classes
        .iter()
        .filter_map(|(name, pair)| Some((name.clone(), pair.less(*published?.classes.get(name)?))))
        .collect();
    Column {
        name: run.name.clone(),
        id: run.id.clone(),
        path,
        passes: run.passes,
        differs,
        classes,
        mean,
        best_on_test: (run.best_on_test.pass, best),
        published_mean,
        class_differences,
        mean_difference: published_mean.map(|p| mean.less(p)),
        best_difference: published_mean.map(|p| best.less(p)),
    }
}
