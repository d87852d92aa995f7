//! A checkpoint of the authors' code, its parameters by name.

use crate::error::ExperimentError;
use crate::exchange::names::{BLOCK, FLOWS, PRIOR};
use crate::exchange::sizes::{Expected, Sizes};
use crate::exchange::torch_file::TorchFile;
use crate::exchange::torch_tensor::TorchTensor;
use crate::tensor_file;
use candle_core::{Device, Tensor};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// An opened checkpoint: `epoch`; `nfs`, a FrEIA state dictionary a level; `mus` (C, D), `mu_deltas`
/// (C, M - 1, D), `phi_inters` (C) and `phi_intras` (C, M), a tensor a level. Either the file of
/// `torch.save`, or safetensors with the same names and a dot between: `nfs.0.module_list.0.w_perm`.
pub struct Checkpoint {
    path: PathBuf,
    /// The pass it was saved after, counted from 0, as the authors' code counts.
    pub epoch: Option<u64>,
    /// Names in the file that a model has no use for.
    pub ignored: Vec<String>,
    /// What the shapes say.
    pub sizes: Sizes,
    source: Source,
}

enum Source {
    Torch { file: Box<TorchFile>, tensors: BTreeMap<String, TorchTensor> },
    Safetensors(HashMap<String, Tensor>),
}

impl Checkpoint {
    /// Opens `path`, by its ending safetensors or else a file of `torch.save`, and checks that it
    /// has every parameter in its shape. Numbers are not read yet.
    ///
    /// # Errors
    /// A file that is neither, or damaged; a parameter that is missing or of another shape.
    pub fn open(path: &Path) -> Result<Self, ExperimentError> {
        let mut ignored = Vec::new();
        let (source, epoch) = if path.extension().is_some_and(|e| e == "safetensors") {
            let (tensors, metadata) = tensor_file::read(path)?;
            (Source::Safetensors(tensors), metadata.get("epoch").and_then(|e| e.parse().ok()))
        } else {
            open_torch(path, &mut ignored)?
        };
        let wrong = |reason: String| ExperimentError::File { path: path.into(), reason };
        let sizes = Sizes::of(|name| source.shape(name)).map_err(wrong)?;
        let expected = sizes.expected();
        for e in &expected {
            match source.shape(&e.theirs) {
                Some(found) if found == e.shape => {}
                Some(found) => {
                    let reason =
                        format!("`{}` has the shape {found:?}, expected {:?}", e.theirs, e.shape);
                    return Err(wrong(reason));
                }
                None => return Err(wrong(format!("`{}` is missing", e.theirs))),
            }
        }
        // What is left is ignored, but not a part of a model with other sizes.
        let used: BTreeSet<&str> = expected.iter().map(|e| e.theirs.as_str()).collect();
        for name in source.names() {
            let whole = |u: &str| name == u || is_part(name, u);
            let list = name.split('.').next().unwrap_or(name);
            if used.contains(name)
                || PRIOR.iter().any(|(_, l)| *l == list) && used.iter().any(|u| whole(u))
            {
                continue;
            }
            let of_prior = PRIOR.iter().any(|(_, l)| *l == list);
            let of_flow =
                list == FLOWS && BLOCK.iter().any(|leaf| name.ends_with(&format!(".{leaf}")));
            if of_prior || of_flow {
                return Err(wrong(format!(
                    "it has `{name}`, which a model of {} levels and {} blocks does not have: are all levels of one kind?",
                    sizes.levels, sizes.blocks
                )));
            }
            ignored.push(name.to_string());
        }
        let numbers =
            expected.iter().map(|e| e.shape.iter().product::<usize>() as u64).sum::<u64>();
        if let Source::Torch { file, .. } = &source
            && numbers > file.len
        {
            return Err(wrong(format!(
                "it says that it has {numbers} numbers, in {} bytes",
                file.len
            )));
        }
        Ok(Self { path: path.into(), epoch, ignored, sizes, source })
    }

    /// Passes over the data that the model has seen.
    pub fn passes(&self) -> usize {
        self.epoch.map_or(0, |e| usize::try_from(e).unwrap_or(usize::MAX).saturating_add(1))
    }

    /// Every parameter by our name, on the CPU. `order` gives for each class of the model its place
    /// in the file.
    ///
    /// # Errors
    /// Numbers that are damaged or not finite.
    pub fn state(&mut self, order: &[usize]) -> Result<HashMap<String, Tensor>, ExperimentError> {
        let mut state = HashMap::new();
        for e in self.sizes.expected() {
            let mut values = self.values(&e)?;
            if !values.iter().all(|v| v.is_finite()) {
                let reason = format!("`{}` has numbers that are not finite", e.theirs);
                return Err(ExperimentError::File { path: self.path.clone(), reason });
            }
            if e.by_class {
                let rows: Vec<&[f32]> =
                    values.chunks_exact(values.len() / self.sizes.classes).collect();
                values = order.iter().flat_map(|place| rows[*place].iter().copied()).collect();
            }
            state.insert(e.ours, Tensor::from_vec(values, e.shape, &Device::Cpu)?);
        }
        Ok(state)
    }

    fn values(&mut self, e: &Expected) -> Result<Vec<f32>, ExperimentError> {
        match &mut self.source {
            Source::Safetensors(tensors) => {
                let of = |name: &str| tensors[name].flatten_all()?.to_vec1::<f32>();
                if tensors.contains_key(&e.theirs) {
                    return Ok(of(&e.theirs)?);
                }
                let parts = parts(&e.theirs, |name| tensors.contains_key(name));
                let parts = parts.iter().map(|p| of(p)).collect::<Result<Vec<_>, _>>()?;
                Ok(parts.concat())
            }
            Source::Torch { file, tensors } => {
                if let Some(tensor) = tensors.get(&e.theirs) {
                    return file.read(&e.theirs, tensor);
                }
                let mut all = Vec::new();
                for part in parts(&e.theirs, |name| tensors.contains_key(name)) {
                    all.extend(file.read(&part, &tensors[&part])?);
                }
                Ok(all)
            }
        }
    }
}

fn open_torch(
    path: &Path,
    ignored: &mut Vec<String>,
) -> Result<(Source, Option<u64>), ExperimentError> {
    let file = Box::new(TorchFile::open(path)?);
    let (mut tensors, mut epoch) = (BTreeMap::new(), None);
    for (key, id) in file.entries()? {
        let of_model = key == FLOWS || PRIOR.iter().any(|(_, list)| *list == key);
        if of_model {
            file.tensors(&key, id, &mut tensors, ignored)?;
        } else if key == "epoch" {
            epoch = file.int(id).and_then(|e| u64::try_from(e).ok());
        } else {
            ignored.push(key);
        }
    }
    Ok((Source::Torch { file, tensors }, epoch))
}

impl Source {
    fn names(&self) -> Vec<&str> {
        match self {
            Self::Torch { tensors, .. } => tensors.keys().map(String::as_str).collect(),
            Self::Safetensors(tensors) => {
                let mut all: Vec<&str> = tensors.keys().map(String::as_str).collect();
                all.sort_unstable();
                all
            }
        }
    }

    fn own_shape(&self, name: &str) -> Option<Vec<usize>> {
        match self {
            Self::Torch { tensors, .. } => Some(tensors.get(name)?.shape.clone()),
            Self::Safetensors(tensors) => Some(tensors.get(name)?.dims().to_vec()),
        }
    }

    /// The shape of a tensor, or of one that is there in parts, such as one a class.
    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        if let Some(shape) = self.own_shape(name) {
            return Some(shape);
        }
        let parts = parts(name, |n| self.own_shape(n).is_some());
        let mut shapes = parts.iter().filter_map(|p| self.own_shape(p));
        let first = shapes.next()?;
        if shapes.any(|s| s != first) {
            return None;
        }
        Some([&[parts.len()], &first[..]].concat())
    }
}

/// `NAME.0`, `NAME.1`, ... as far as they are there.
fn parts(name: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    (0..).map(|i| format!("{name}.{i}")).take_while(|n| exists(n)).collect()
}

/// Whether `name` is one of the parts of `whole`.
fn is_part(name: &str, whole: &str) -> bool {
    let rest = name.strip_prefix(whole).and_then(|r| r.strip_prefix('.'));
    rest.is_some_and(|r| r.parse::<usize>().is_ok())
}
