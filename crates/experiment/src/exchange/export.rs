//! A model's parameters under the names of the authors' code.

use crate::atomic;
use crate::error::ExperimentError;
use crate::exchange::names::{FLOWS, PRIOR, published};
use crate::exchange::pickle::{Value, archive};
use crate::model_file;
use crate::run_folder::RunFolder;
use crate::tensor_file::{self, Entry};
use candle_core::Device;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Writes the parameters of the model `path`, a run folder or a `model.safetensors`, to `out`: by
/// its ending safetensors with flat names, or else a file of `torch.save` as the authors' code
/// writes and reads it. Without `out` that is `model.pt` beside the model. Gives the file and the
/// names of the classes in the order of their indices, which the authors' code does not keep.
///
/// # Errors
/// There is no model; its prior or flow is none that the authors' code has; I/O.
pub fn export(path: &Path, out: Option<&Path>) -> Result<(PathBuf, Vec<String>), ExperimentError> {
    let file = if path.is_dir() {
        let run = RunFolder::open(path)?;
        if !run.model().is_file() {
            let reason = "there is no model.safetensors here: the run was not finished; go on with it with --resume".into();
            return Err(ExperimentError::Run { path: path.into(), reason });
        }
        run.model()
    } else {
        path.into()
    };
    let (model, header) = model_file::load(&file, &Device::Cpu)?;
    let cannot = |reason: String| ExperimentError::File { path: file.clone(), reason };
    let kind = &header.config.prior.kind;
    if kind != "hierarchical" {
        return Err(cannot(format!(
            "its prior is `{kind}`; the authors' code has the hierarchical one alone"
        )));
    }
    let mut entries = tensor_file::entries(model.state())?;
    for entry in &mut entries {
        entry.0 = published(&entry.0).ok_or_else(|| {
            let name = &entry.0;
            cannot(format!("the authors' code has no parameter like its `{name}`"))
        })?;
    }
    // Passes are counted from 0 there.
    let epoch = header.passes.saturating_sub(1);
    let out = out.map_or_else(|| file.with_file_name("model.pt"), Path::to_path_buf);
    if out.extension().is_some_and(|e| e == "safetensors") {
        let metadata = HashMap::from([("epoch".to_string(), epoch.to_string())]);
        tensor_file::write(&out, &entries, metadata)?;
    } else {
        let root = dictionary(epoch, entries, model.levels.len());
        let bytes = archive(&root).map_err(|e| ExperimentError::File {
            path: out.clone(),
            reason: format!("it cannot be written ({e})"),
        })?;
        atomic::write_bytes(&out, &bytes)?;
    }
    Ok((out, model.classes))
}

/// The dictionary that the authors' code saves.
fn dictionary(epoch: usize, entries: Vec<Entry>, levels: usize) -> Value {
    let mut flows: Vec<Vec<(String, Value)>> = (0..levels).map(|_| Vec::new()).collect();
    let mut lists: BTreeMap<&str, Vec<(String, Value)>> = BTreeMap::new();
    for (name, shape, values) in entries {
        let Some((list, rest)) = name.split_once('.') else { continue };
        let tensor = |n: &str| Value::Tensor((n.into(), shape.clone(), values));
        match PRIOR.iter().find(|(_, own)| *own == list) {
            Some((_, own)) => lists.entry(own).or_default().push((rest.into(), tensor(rest))),
            None => {
                let (level, key) = rest.split_once('.').unwrap_or(("0", rest));
                let level = level.parse::<usize>().unwrap_or_default();
                if let Some(flow) = flows.get_mut(level) {
                    flow.push((key.into(), tensor(key)));
                }
            }
        }
    }
    let flows = flows.into_iter().map(Value::Dict).collect();
    let mut root =
        vec![("epoch".to_string(), Value::Int(epoch as i64)), (FLOWS.into(), Value::List(flows))];
    root.extend(lists.into_iter().map(|(name, entries)| (name.to_string(), Value::Dict(entries))));
    Value::Dict(root)
}
