//! `checkpoint/last.safetensors`: all that is needed to go on as if nothing had happened.

use crate::averaging::Average;
use crate::error::ExperimentError;
use crate::model::Model;
use crate::optimizer::Adam;
use crate::results::{Evaluation, Seconds};
use crate::tensor_file;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// Where a run is. The order of the data is drawn from seed and pass, so no random state is kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Passes finished.
    pub passes: usize,
    /// Best evaluation so far.
    pub best: Option<Evaluation>,
    /// The last evaluation.
    pub last: Option<Evaluation>,
    /// Time spent so far.
    pub seconds: Seconds,
}

/// Writes model, optimizers (one a level), averages of the parameters (one a level, or none) and progress to `path`, in one file.
///
/// # Errors
/// I/O.
pub fn save(
    path: &Path,
    model: &Model,
    optimizers: &[Adam],
    averages: &[Average],
    progress: &Progress,
) -> Result<(), ExperimentError> {
    let mut entries = tensor_file::entries(model.state())?;
    let mut steps: HashMap<String, u64> = HashMap::new();
    for (level, adam) in optimizers.iter().enumerate() {
        for state in adam.state()? {
            let (key, [mean, square]) = (format!("adam.{level}.{}", state.name), state.moments);
            entries.push((format!("{key}.mean"), vec![mean.len()], mean));
            entries.push((format!("{key}.square"), vec![square.len()], square));
            steps.insert(key, state.steps);
        }
    }
    for (level, average) in averages.iter().enumerate() {
        let key = |name: &str| format!("average.{level}.{name}");
        let named = average.state().map(|(name, mean)| (key(name), mean.clone()));
        entries.extend(tensor_file::entries(named.collect())?);
        steps.insert(key("steps"), average.steps());
    }
    let json = |v: serde_json::Result<String>| v.unwrap_or_default();
    let metadata = [
        ("format".to_string(), "hgad-checkpoint-1".to_string()),
        ("progress".into(), json(serde_json::to_string(progress))),
        ("steps".into(), json(serde_json::to_string(&steps))),
    ];
    tensor_file::write(path, &entries, metadata.into())
}

/// Puts model, optimizers and averages into the state of `path`, and gives the progress.
///
/// # Errors
/// A file that is no checkpoint of this model.
pub fn load(
    path: &Path,
    model: &Model,
    optimizers: &mut [Adam],
    averages: &mut [Average],
) -> Result<Progress, ExperimentError> {
    let (tensors, metadata) = tensor_file::read(path)?;
    let wrong = |what: &str| ExperimentError::File {
        path: path.into(),
        reason: format!(
            "{what}; it is no checkpoint of this configuration, start anew without --resume"
        ),
    };
    let part = |key: &str| metadata.get(key).ok_or_else(|| wrong(&format!("it has no {key}")));
    let progress: Progress = serde_json::from_str(part("progress")?)
        .map_err(|e| wrong(&format!("its progress cannot be read ({e})")))?;
    let steps: HashMap<String, u64> = serde_json::from_str(part("steps")?)
        .map_err(|e| wrong(&format!("its optimizer steps cannot be read ({e})")))?;
    model.load(&tensors)?;
    for (level, adam) in optimizers.iter_mut().enumerate() {
        adam.restore(|name, len| {
            let key = format!("adam.{level}.{name}");
            let moment = |which: &str| -> Option<Vec<f32>> {
                let values = tensors.get(&format!("{key}.{which}"))?.to_vec1().ok()?;
                (values.len() == len).then_some(values)
            };
            Some((*steps.get(&key)?, [moment("mean")?, moment("square")?]))
        })
        .map_err(|name| wrong(&format!("it has no optimizer state of `{name}`")))?;
    }
    for (level, average) in averages.iter_mut().enumerate() {
        let key = |name: &str| format!("average.{level}.{name}");
        let counted = steps.get(&key("steps")).ok_or_else(|| wrong("it has no averages"))?;
        average
            .restore(*counted, |name| tensors.get(&key(name)).cloned())
            .map_err(|name| wrong(&format!("it has no average of `{name}`")))?;
    }
    Ok(progress)
}
