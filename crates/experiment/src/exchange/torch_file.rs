//! Files that `torch.save` wrote: a zip archive of a pickle and of storages.

use crate::error::ExperimentError;
use crate::exchange::torch_tensor::TorchTensor;
use crate::exchange::unpickle::{Id, Node, Pickle};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use zip::{CompressionMethod, ZipArchive};

/// A pickle that describes some hundreds of tensors has some ten kilobytes.
const LARGEST_PICKLE: u64 = 8 << 20;
/// More tensors than any model of this kind has.
const MOST_TENSORS: usize = 100_000;
/// A list of dictionaries of lists is as deep as it goes.
const DEEPEST: usize = 4;

/// An open file.
pub(super) struct TorchFile {
    path: PathBuf,
    archive: ZipArchive<BufReader<File>>,
    /// Of the file, in bytes.
    pub(super) len: u64,
    /// Folder of the entries in the archive, with its slash.
    folder: String,
    pickle: Pickle,
    /// The storage that was read last: several tensors may be views of it.
    last: Option<(String, Vec<u8>)>,
}

impl TorchFile {
    pub(super) fn open(path: &Path) -> Result<Self, ExperimentError> {
        let wrong = |reason: String| ExperimentError::File { path: path.into(), reason };
        let io = |e| ExperimentError::io("read", path, e);
        let mut file = File::open(path).map_err(io)?;
        let len = file.metadata().map_err(io)?.len();
        let mut start = Vec::new();
        file.by_ref().take(4).read_to_end(&mut start).map_err(io)?;
        if start != b"PK\x03\x04" {
            // torch.save before 1.6 wrote pickles in a row.
            let old = start.starts_with(b"\x80\x02");
            return Err(wrong(if old {
                "it is in the format of PyTorch before 1.6; read it with torch.load and write it again with torch.save".into()
            } else {
                "it is no file of torch.save (no zip archive)".into()
            }));
        }
        let mut archive = ZipArchive::new(BufReader::new(file))
            .map_err(|e| wrong(format!("it is no whole file of torch.save ({e})")))?;
        let name = archive
            .file_names()
            .flatten()
            .find(|n| n.ends_with("/data.pkl"))
            .map(|n| n.into_owned())
            .ok_or_else(|| {
                wrong(
                    "it is a zip archive but no file of torch.save: there is no data.pkl in it"
                        .into(),
                )
            })?;
        let folder = name[..name.len() - "data.pkl".len()].to_string();
        let bytes = entry(&mut archive, &name, LARGEST_PICKLE.min(len)).map_err(wrong)?;
        let pickle =
            Pickle::read(&bytes).map_err(|e| wrong(format!("its data.pkl cannot be read: {e}")))?;
        let order = format!("{folder}byteorder");
        if archive.index_for_name(&order).is_some()
            && entry(&mut archive, &order, 64).map_err(wrong)? != b"little"
        {
            return Err(wrong("its numbers are not little-endian".into()));
        }
        Ok(Self { path: path.into(), archive, len, folder, pickle, last: None })
    }

    /// The entries of the dictionary that was saved, by key.
    pub(super) fn entries(&self) -> Result<BTreeMap<String, Id>, ExperimentError> {
        let root = self.pickle.root();
        let entries = self.pickle.dict(root).ok_or_else(|| {
            let kind = self.pickle.kind(root);
            self.wrong(format!("it holds {kind}, expected a dictionary of parameters"))
        })?;
        let named = |(k, v): &(Id, Id)| Some((self.pickle.text(*k)?.to_string(), *v));
        Ok(entries.iter().filter_map(named).collect())
    }

    pub(super) fn int(&self, id: Id) -> Option<i64> {
        self.pickle.int(id)
    }

    /// The tensors at and below `id`, named `name` and what leads to each: `nfs.0.KEY`. What is no
    /// tensor is named in `other`.
    pub(super) fn tensors(
        &self,
        name: &str,
        id: Id,
        into: &mut BTreeMap<String, TorchTensor>,
        other: &mut Vec<String>,
    ) -> Result<(), ExperimentError> {
        // Lists of lists may be shared: a bound on the depth and one on the count end it.
        let mut open = vec![(name.to_string(), id, 0)];
        let mut seen = 0;
        while let Some((name, id, depth)) = open.pop() {
            seen += 1;
            if seen > MOST_TENSORS {
                return Err(self.wrong(format!("it has more than {MOST_TENSORS} values")));
            }
            if let Some(tensor) = TorchTensor::at(&self.pickle, id) {
                let tensor = tensor.map_err(|e| self.wrong(format!("`{name}` {e}")))?;
                into.insert(name, tensor);
                continue;
            }
            let children: Vec<(String, Id)> = match self.pickle.get(id) {
                Node::Sequence(items) => {
                    items.iter().enumerate().map(|(i, v)| (i.to_string(), *v)).collect()
                }
                Node::Dict(entries) => entries
                    .iter()
                    .filter_map(|(k, v)| Some((self.pickle.text(*k)?.to_string(), *v)))
                    .collect(),
                _ => {
                    other.push(name);
                    continue;
                }
            };
            if depth == DEEPEST || children.len() > MOST_TENSORS {
                return Err(self.wrong(format!("`{name}` is nested too deeply for parameters")));
            }
            open.extend(children.into_iter().map(|(k, v)| (format!("{name}.{k}"), v, depth + 1)));
        }
        Ok(())
    }

    /// The numbers of `tensor`, row-major.
    pub(super) fn read(
        &mut self,
        name: &str,
        tensor: &TorchTensor,
    ) -> Result<Vec<f32>, ExperimentError> {
        let known = self.last.as_ref().is_some_and(|(storage, _)| *storage == tensor.storage);
        if !known {
            let key = format!("{}data/{}", self.folder, tensor.storage);
            let bytes = entry(&mut self.archive, &key, self.len)
                .map_err(|e| self.wrong(format!("`{name}`: {e}")))?;
            self.last = Some((tensor.storage.clone(), bytes));
        }
        let bytes = self.last.as_ref().map_or(&[][..], |(_, bytes)| bytes);
        tensor.read(bytes).map_err(|e| self.wrong(format!("`{name}` {e}")))
    }

    fn wrong(&self, reason: String) -> ExperimentError {
        ExperimentError::File { path: self.path.clone(), reason }
    }
}

/// The bytes of an entry of at most `most`.
fn entry(
    archive: &mut ZipArchive<BufReader<File>>,
    name: &str,
    most: u64,
) -> Result<Vec<u8>, String> {
    let mut file = archive.by_name(name).map_err(|e| format!("its {name} cannot be read ({e})"))?;
    // torch.save compresses nothing, so that no entry is larger than the file.
    if file.compression() != CompressionMethod::Stored {
        return Err(format!("its {name} is compressed, which torch.save does not do"));
    }
    if file.size() > most {
        return Err(format!("its {name} is too large ({} bytes)", file.size()));
    }
    let mut bytes = Vec::new();
    let read = file.by_ref().take(most).read_to_end(&mut bytes);
    read.map_err(|e| format!("its {name} is damaged ({e})"))?;
    Ok(bytes)
}
