//! Predicting many files: loaded ahead on all cores, in batches, one row each in their order.

use super::pictures::{MapFormat, backdrop, overlay, picture};
use super::prediction::Prediction;
use super::predictor::{ClassChoice, Predictor, Prepared};
use super::rows::{Looked, Row, RowFiles};
use crate::atomic;
use crate::error::ExperimentError;
use crate::progress::{Event, Observer};
use hgad_datasets::{load_ahead, read_image};
use image::RgbImage;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Where the classes of files come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClassSource {
    /// The model's posterior.
    #[default]
    Inferred,
    /// All are of this one.
    Given(String),
    /// The nearest folder above a file that has the name of a class.
    Folder,
}

/// How files are predicted.
#[derive(Clone, Debug)]
pub struct JobOptions {
    /// Their classes.
    pub classes: ClassSource,
    /// Images that go through the model together.
    pub batch: usize,
    /// Folder of `predictions.jsonl` and `.csv`, and of pictures and maps; `None` writes nothing.
    pub out: Option<PathBuf>,
    /// Whether pictures of the maps over the images are written, to `overlays/`.
    pub overlays: bool,
    /// How raw maps are written, to `maps/`; empty for not at all.
    pub maps: Vec<MapFormat>,
}

impl Default for JobOptions {
    fn default() -> Self {
        let classes = ClassSource::Inferred;
        Self { classes, batch: 8, out: None, overlays: false, maps: Vec::new() }
    }
}

/// How it went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobReport {
    /// Files that were looked at.
    pub images: usize,
    /// Of these, those called anomalous.
    pub anomalous: usize,
    /// Of these, those that are none of the classes.
    pub none: usize,
    /// Files that could not be looked at.
    pub bad: usize,
    /// Seconds, without loading the model.
    pub seconds: f64,
}

/// A file made ready, and its square for the overlay.
struct Ready {
    prepared: Prepared,
    backdrop: Option<RgbImage>,
    class: ClassChoice,
}

/// Predicts `paths` and gives every row to `each`, in their order. A file that cannot be looked at is
/// told to the observer and has a row that says why.
///
/// # Errors
/// A class the model does not know; what `each` gives; results that cannot be written. Broken images
/// are none.
pub fn predict_files(
    predictor: &Predictor,
    paths: &[PathBuf],
    options: &JobOptions,
    observer: &dyn Observer,
    mut each: impl FnMut(&Row),
) -> Result<JobReport, ExperimentError> {
    if let ClassSource::Given(name) = &options.classes {
        predictor.knows(name)?;
    }
    if options.classes == ClassSource::Inferred && !predictor.infers_classes() {
        return Err(hgad_scores::ScoreError::NoClasses.into());
    }
    let mut files = options.out.as_deref().map(RowFiles::begin).transpose()?;
    let started = Instant::now();
    let total = paths.len() as u64;
    observer.event(Event::Begin { what: "predicting", total, unit: "images" });
    let mut report = JobReport::default();
    let batch = options.batch.max(1);
    std::thread::scope(|scope| {
        let ahead = 2 * batch + rayon::current_num_threads();
        let mut loaded = load_ahead(scope, paths, ahead, |path| ready(predictor, path, options));
        let mut done = 0;
        while done < paths.len() {
            let members: Vec<(usize, Result<Ready, ExperimentError>)> =
                loaded.by_ref().take(batch).collect();
            done += members.len();
            for row in rows(predictor, paths, members, options)? {
                match &row {
                    Row::Bad { path, error } => {
                        report.bad += 1;
                        // Most errors name the file themselves.
                        let text = match error.contains(path.as_str()) {
                            true => error.clone(),
                            false => format!("{path}: {error}"),
                        };
                        observer.event(Event::Warning(&text));
                    }
                    Row::Looked(looked) => {
                        report.images += 1;
                        report.anomalous += usize::from(looked.verdict == "anomalous");
                        report.none += usize::from(looked.class.is_none());
                    }
                }
                if let Some(files) = &mut files {
                    files.add(&row)?;
                }
                each(&row);
            }
            let state = format!("{} anomalous, {} bad", report.anomalous, report.bad);
            observer.event(Event::Advance { done: done as u64, state: &state });
        }
        Ok::<(), ExperimentError>(())
    })?;
    observer.event(Event::End);
    if let Some(files) = files {
        files.finish()?;
    }
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Reads and prepares one file.
fn ready(
    predictor: &Predictor,
    path: &Path,
    options: &JobOptions,
) -> Result<Ready, ExperimentError> {
    let class = match &options.classes {
        ClassSource::Inferred => ClassChoice::Inferred,
        ClassSource::Given(name) => ClassChoice::Given(name.clone()),
        ClassSource::Folder => ClassChoice::Given(class_of_folder(predictor, path)?),
    };
    let image = read_image(path)?;
    let draw = options.overlays && options.out.is_some();
    let size = predictor.calibration().map.size;
    let square = draw.then(|| backdrop(&image, predictor.transform(), size)).transpose()?;
    Ok(Ready { prepared: predictor.prepare(&image)?, backdrop: square, class })
}

fn class_of_folder(predictor: &Predictor, path: &Path) -> Result<String, ExperimentError> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.into());
    let of = |folder: &Path| predictor.classes().iter().find(|c| folder.ends_with(c)).cloned();
    whole.ancestors().skip(1).find_map(of).ok_or_else(|| ExperimentError::File {
        path: path.into(),
        reason: format!(
            "no folder above it has the name of a class ({})",
            predictor.classes().join(", ")
        ),
    })
}

/// The rows of one batch. Where the batch fails as a whole, each image is tried alone.
fn rows(
    predictor: &Predictor,
    paths: &[PathBuf],
    members: Vec<(usize, Result<Ready, ExperimentError>)>,
    options: &JobOptions,
) -> Result<Vec<Row>, ExperimentError> {
    let mut errors = Vec::new();
    let mut good = Vec::new();
    let (mut prepared, mut classes, mut squares) = (Vec::new(), Vec::new(), Vec::new());
    for (index, member) in members {
        match member {
            Ok(ready) => {
                good.push(index);
                prepared.push(ready.prepared);
                classes.push(ready.class);
                squares.push(ready.backdrop);
            }
            Err(e) => errors.push((index, e)),
        }
    }
    let together = if prepared.is_empty() {
        Ok(Vec::new())
    } else {
        predictor.predict_prepared(&prepared, &classes)
    };
    let predictions: Vec<Result<Prediction, ExperimentError>> = match together {
        Ok(all) => all.into_iter().map(Ok).collect(),
        Err(_) => prepared
            .iter()
            .zip(&classes)
            .map(|(image, class)| {
                let one = predictor
                    .predict_prepared(std::slice::from_ref(image), std::slice::from_ref(class))?;
                one.into_iter().next().ok_or_else(|| ExperimentError::File {
                    path: PathBuf::new(),
                    reason: "the model gave no prediction".into(),
                })
            })
            .collect(),
    };
    let looked = good
        .par_iter()
        .zip(predictions)
        .zip(squares)
        .map(|((index, prediction), square)| {
            let path = &paths[*index];
            let row = match prediction {
                Err(e) => bad(path, &e),
                Ok(prediction) => {
                    let mut row = Looked::new(path, &prediction, predictor.classes());
                    pictures(options, *index, path, square, &prediction, &mut row)?;
                    Row::Looked(Box::new(row))
                }
            };
            Ok((*index, row))
        })
        .collect::<Result<Vec<_>, ExperimentError>>()?;
    let mut all: Vec<(usize, Row)> =
        errors.into_iter().map(|(index, e)| (index, bad(&paths[index], &e))).collect();
    all.extend(looked);
    all.sort_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, row)| row).collect())
}

fn bad(path: &Path, error: &ExperimentError) -> Row {
    let mut text = error.to_string();
    let mut at = std::error::Error::source(error);
    while let Some(cause) = at {
        if !text.contains(&cause.to_string()) {
            text += &format!(": {cause}");
        }
        at = cause.source();
    }
    Row::Bad { path: path.to_string_lossy().into_owned(), error: text }
}

/// Overlay and maps of one image; their names go into its row.
fn pictures(
    options: &JobOptions,
    index: usize,
    path: &Path,
    square: Option<RgbImage>,
    prediction: &Prediction,
    row: &mut Looked,
) -> Result<(), ExperimentError> {
    let Some(out) = &options.out else { return Ok(()) };
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    // Numbered by their place: files of one name in many folders are usual.
    let name = format!("{index:06}_{stem}");
    if let Some(square) = square {
        let file = format!("overlays/{name}.png");
        atomic::write_bytes(&out.join(&file), &picture(&overlay(&square, prediction))?)?;
        row.overlay = Some(file);
    }
    for format in &options.maps {
        let file = format!("maps/{name}.{}", format.extension());
        format.write(&out.join(&file), prediction)?;
        row.maps.push(file);
    }
    Ok(())
}
