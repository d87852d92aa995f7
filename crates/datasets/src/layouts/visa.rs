use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::dataset::{Dataset, Sample, Source, Split};
use crate::decode::io;
use crate::descriptor::Descriptor;
use crate::error::DatasetError;
use crate::file_set::FileSet;
use crate::layout::Layout;
use crate::root::locate;
use crate::tree::relative;

/// The layout of VisA (Zou et al., ECCV 2022): a table lists the images of the one-class split.
#[derive(Debug, Clone, Copy)]
pub struct Visa;

const TABLE: &str = "split_csv/1cls.csv";
const COLUMNS: [&str; 5] = ["object", "split", "label", "image", "mask"];
const DEFECT: &str = "anomaly";

impl Layout for Visa {
    fn name(&self) -> &'static str {
        "visa"
    }

    fn expects(&self) -> &'static str {
        "split_csv/1cls.csv with the columns object, split, label (normal or anomaly), image, mask; paths from its folder's parent"
    }

    fn open(&self, descriptor: &Descriptor, root: &Path) -> Result<Box<dyn Dataset>, DatasetError> {
        let folder = locate(descriptor, root, self.expects(), |path| path.join(TABLE).is_file())?;
        Ok(Box::new(scan(&descriptor.name, &folder)?))
    }
}

/// The rows of one class, by split.
#[derive(Default)]
struct Rows {
    train: Vec<Sample>,
    test: Vec<Sample>,
}

fn scan(name: &str, root: &Path) -> Result<FileSet, DatasetError> {
    let path = root.join(TABLE);
    let text = std::fs::read_to_string(&path).map_err(|e| io("read", &path, e))?;
    let mut lines = text.trim_start_matches('\u{feff}').lines().zip(1..);
    let wrong =
        |line: usize, reason: String| DatasetError::Table { path: path.clone(), line, reason };
    let header: Vec<&str> = match lines.next() {
        Some((line, _)) => line.split(',').map(str::trim).collect(),
        None => return Err(wrong(1, "the table is empty".into())),
    };
    let mut columns = [0; COLUMNS.len()];
    for (place, column) in columns.iter_mut().zip(COLUMNS) {
        let found = header.iter().position(|h| *h == column);
        *place = found.ok_or_else(|| wrong(1, format!("the column `{column}` is missing")))?;
    }

    let mut classes: BTreeMap<String, Rows> = BTreeMap::new();
    for (line, number) in lines {
        if line.trim().is_empty() {
            continue;
        }
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        let [object, split, label, image, mask] =
            columns.map(|column| cells.get(column).copied().unwrap_or_default());
        let defect = match label {
            "normal" => None,
            "anomaly" => Some(DEFECT.to_owned()),
            other => {
                let reason = format!("label is `{other}`, expected normal or anomaly");
                return Err(wrong(number, reason));
            }
        };
        let file = |cell: &str| {
            below(root, cell).ok_or_else(|| {
                wrong(number, format!("`{cell}` is not a path below the data set's folder"))
            })
        };
        let image = file(image)?;
        let mask = match (&defect, mask) {
            (None, _) => None,
            (Some(_), "") => {
                return Err(DatasetError::MaskMissing {
                    expected: vec![path.with_file_name(format!("1cls.csv, line {number}, mask"))],
                    image,
                });
            }
            (Some(_), cell) => Some(file(cell)?),
        };
        let rows = classes.entry(object.into()).or_default();
        let (split, list) = match split {
            "train" => (Split::Train, &mut rows.train),
            "test" => (Split::Test, &mut rows.test),
            other => {
                let reason = format!("split is `{other}`, expected train or test");
                return Err(wrong(number, reason));
            }
        };
        if split == Split::Train && defect.is_some() {
            let reason = "an anomalous image is in the train split, expected normal ones only";
            return Err(wrong(number, reason.into()));
        }
        list.push(Sample {
            class: 0,
            split,
            defect,
            id: relative(root, &image),
            source: Source::File { image, mask },
        });
    }

    let mut set = FileSet { name: name.into(), classes: Vec::new(), samples: Vec::new() };
    for (class, rows) in classes {
        if rows.train.is_empty() {
            return Err(DatasetError::NoTrainingImages { class, folder: path });
        }
        let index = set.classes.len();
        for mut list in [rows.train, rows.test] {
            list.sort_by(|a, b| (&a.defect, &a.id).cmp(&(&b.defect, &b.id)));
            set.samples.extend(list.into_iter().map(|s| Sample { class: index, ..s }));
        }
        set.classes.push(class);
    }
    if set.classes.is_empty() {
        return Err(wrong(2, "the table lists no images".into()));
    }
    Ok(set)
}

/// The path of a cell, unless it is empty or leads out of the folder.
fn below(root: &Path, cell: &str) -> Option<PathBuf> {
    let path = Path::new(cell);
    let plain = path.components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    (plain && !cell.is_empty()).then(|| root.join(path))
}
