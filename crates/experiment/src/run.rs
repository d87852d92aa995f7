//! A whole experiment: features, training, evaluation, results.

use crate::calibration::{Calibration, calibrate};
use crate::checkpoint::{self, Progress};
use crate::config::Config;
use crate::data;
use crate::deployed::evaluate_deployed;
use crate::device;
use crate::error::ExperimentError;
use crate::evaluate::{Truth, class_maps, evaluate, score_rule};
use crate::features::{self, Features};
use crate::heat_maps::HeatMaps;
use crate::image_scores::ImageScores;
use crate::metrics_log;
use crate::model::Model;
use crate::model_file::{self, ModelFile, ModelHeader};
use crate::progress::{Event, Observer};
use crate::report::{self, Collector};
use crate::results::{Evaluation, Results, SCHEMA, Seconds, Versions};
use crate::run_folder::RunFolder;
use crate::start::{remember, settle, start};
use crate::tensorboard::EventFile;
use crate::train::Trainer;
use crate::{atomic, data::Data};
use hgad_backbones::KeptWeights;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How an experiment is run.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Go on with a run instead of starting one.
    pub resume: Resume,
    /// Where results are written besides the run folder.
    pub results: Option<PathBuf>,
}

/// Which run to go on with.
#[derive(Clone, Debug, Default)]
pub enum Resume {
    /// Start a new one.
    #[default]
    No,
    /// The newest unfinished one with the same configuration.
    Newest,
    /// That one, with its own configuration.
    Folder(PathBuf),
}

/// Runs `config` to its end and gives its folder and what it reached.
///
/// # Errors
/// Whatever stops it; the checkpoint before is kept.
pub fn run(
    config: &Config,
    options: &RunOptions,
    observer: &dyn Observer,
) -> Result<(RunFolder, Results), ExperimentError> {
    let resumed = match &options.resume {
        Resume::No => None,
        Resume::Newest => Some(RunFolder::unfinished(config)?),
        Resume::Folder(path) => Some(RunFolder::open(path)?),
    };
    if let Some(run) = &resumed
        && run.is_finished()
    {
        let reason = "this run is finished; `hgad evaluate` computes its table again".into();
        return Err(ExperimentError::Run { path: run.path().into(), reason });
    }
    if let Some(run) = &resumed
        && run.is_imported()
    {
        let reason =
            "its model was imported, there is no training to go on with; `hgad evaluate` tests it"
                .into();
        return Err(ExperimentError::Run { path: run.path().into(), reason });
    }
    let mut own = match &resumed {
        Some(run) => run.load_config()?,
        None => config.clone(),
    };
    // A run can be gone on with and watched that was begun without.
    own.run.tensorboard |= config.run.tensorboard;
    let config = &own;
    let mut lock = resumed.as_ref().map(RunFolder::lock).transpose()?;
    let started = Instant::now();
    let device = device::open(config)?;
    let data = data::open(config)?;
    let features = features::prepare(config, &data, observer)?;
    let truth = Truth::load(&features, data.dataset.as_ref(), config.data.mask_size)?;
    let classes = data.dataset.classes();
    let model = Model::new(config, features.shapes(), classes, &device)?;
    // A score that the prior cannot serve is refused before hours of training.
    score_rule(config, &model)?;
    let parameters = model.parameter_count();
    let mut trainer = Trainer::new(config, model, &features)?;
    // The folder is made only now, so that what could be refused before has left nothing behind.
    let run = match resumed {
        Some(run) => run,
        None => RunFolder::create(config)?,
    };
    if lock.is_none() {
        lock = Some(run.lock()?);
    }
    observer.event(Event::Note(&format!(
        "{}: {} classes, {} training, {} held-out and {} {} images, {} levels, {:.1} million parameters; run folder {}",
        config.name,
        classes.len(),
        features.train.len(),
        features.held_out.len(),
        features.test.len(),
        if config.eval.on == "pasted" { "pasted" } else { "test" },
        features.shapes().len(),
        parameters as f64 / 1e6,
        run.path().display()
    )));
    let mut progress = if run.checkpoint().is_file() {
        let t = &mut trainer;
        let p = checkpoint::load(&run.checkpoint(), &t.model, &mut t.optimizers, &mut t.averages)?;
        let (done, all) = (p.passes, trainer.passes());
        observer.event(Event::Note(&format!("going on after pass {done} of {all}")));
        p
    } else {
        Progress::default()
    };
    metrics_log::truncate(&run.metrics(), progress.passes)?;
    progress.seconds.features += started.elapsed().as_secs_f64();

    train(config, &mut trainer, &features, &truth, &run, &mut progress, observer)?;

    let results =
        finish(config, &trainer.model, &features, &data, &truth, &run, &run, progress, observer)?;
    if let Some(path) = &options.results {
        atomic::write_bytes(path, &serde_json::to_vec_pretty(&results).unwrap_or_default())?;
    }
    let _ = std::fs::remove_file(run.checkpoint());
    let _ = run.checkpoint().parent().map(std::fs::remove_dir);
    drop(lock);
    Ok((run, results))
}

/// Writes the model, the pictures, the report and the results of a trained and evaluated model;
/// `trained` is the run that trained it.
fn finish(
    config: &Config,
    model: &Model,
    features: &Features,
    data: &Data,
    truth: &Truth,
    run: &RunFolder,
    trained: &RunFolder,
    mut progress: Progress,
    observer: &dyn Observer,
) -> Result<Results, ExperimentError> {
    let judging = Instant::now();
    let calibration = calibrate(config, model, features, observer)?;
    warn(&calibration, model, observer);
    let deployed = evaluate_deployed(config, model, &calibration, features, truth, observer)?;
    progress.seconds.evaluation += judging.elapsed().as_secs_f64();
    // What was trained is kept, whatever has happened to the weights file meanwhile.
    let weights = model_file::backbone_weights(config, &features.fingerprint).unwrap_or_else(|e| {
        let text = format!("the model is written without the backbone's weights: {e}");
        observer.event(Event::Warning(&text));
        None
    });
    let header = ModelHeader {
        calibration: Some(calibration.clone()),
        normalization: None,
        config: config.clone(),
        shapes: features.shapes().to_vec(),
        classes: model.classes.clone(),
        backbone: features.fingerprint.clone(),
        passes: progress.passes,
    };
    model_file::save(&run.model(), model, &header, weights.as_ref())?;
    let drawing = Instant::now();
    let collected = picture(config, model, &calibration, features, data, truth, run, observer)?;
    let s = &mut progress.seconds;
    s.report = collected.as_ref().map_or(0.0, |c| c.seconds);
    s.maps += drawing.elapsed().as_secs_f64() - s.report;
    s.total = s.features + s.training + s.evaluation + s.maps + s.report;
    let mut results = results(config, run, features, model.parameter_count(), progress)?;
    results.deployed = Some(deployed);
    if let Some(collected) = collected {
        let passes = trained.metrics();
        let written = report::write(run, &passes, collected, model, features, truth, &mut results);
        if let Err(error) = written {
            warn_of_report(observer, &error);
        }
    }
    // Written last: a run with results is finished.
    atomic::write_bytes(&run.results(), &serde_json::to_vec_pretty(&results).unwrap_or_default())?;
    Ok(results)
}

/// Tells of classes whose threshold promises nothing, together where the reason is the same for all.
fn warn(calibration: &Calibration, model: &Model, observer: &dyn Observer) {
    let rate = calibration.rates.false_alarm_rate;
    let all = model.classes.iter().zip(&calibration.classes);
    let caveats: Vec<(&String, String)> =
        all.filter_map(|(name, c)| Some((name, c.caveat(rate)?))).collect();
    if let Some((name, caveat)) = caveats.first() {
        let others = match caveats.len() - 1 {
            0 => String::new(),
            n => format!(" (and {n} other classes)"),
        };
        observer.event(Event::Note(&format!("threshold of {name}{others}: {caveat}")));
    }
}

/// A run of `config` that differs from the finished run `donor` in its scores and pictures alone:
/// the trained model is taken over, and with it the seconds that its training took.
///
/// # Errors
/// As [`reevaluate`].
pub fn rescore(
    config: &Config,
    donor: &RunFolder,
    observer: &dyn Observer,
) -> Result<(RunFolder, Results), ExperimentError> {
    let before = donor.load_results()?;
    let started = Instant::now();
    let t = trained(donor, config, observer)?;
    let mut progress = Progress { passes: t.passes, ..Progress::default() };
    progress.seconds.features = before.seconds.features + started.elapsed().as_secs_f64();
    progress.seconds.training = before.seconds.training;
    let evaluating = Instant::now();
    let now = evaluate(config, &t.model, &t.features, &t.truth, t.passes, observer)?;
    progress.seconds.evaluation = evaluating.elapsed().as_secs_f64();
    (progress.last, progress.best) = (Some(now.clone()), Some(now));
    let run = RunFolder::create(config)?;
    let _lock = run.lock()?;
    let results =
        finish(config, &t.model, &t.features, &t.data, &t.truth, &run, donor, progress, observer)?;
    Ok((run, results))
}

fn train(
    config: &Config,
    trainer: &mut Trainer,
    features: &Features,
    truth: &Truth,
    run: &RunFolder,
    progress: &mut Progress,
    observer: &dyn Observer,
) -> Result<(), ExperimentError> {
    let passes = trainer.passes();
    if passes == 0 {
        let starting = Instant::now();
        start(config, &trainer.model, features)?;
        remember(config, &trainer.model, features)?;
        progress.seconds.training += starting.elapsed().as_secs_f64();
        let judging = Instant::now();
        let now = evaluate(config, &trainer.model, features, truth, 0, observer)?;
        progress.seconds.evaluation += judging.elapsed().as_secs_f64();
        (progress.last, progress.best) = (Some(now.clone()), Some(now));
        return Ok(());
    }
    let mut saved = Instant::now();
    let mut events = match config.run.tensorboard && progress.passes < passes {
        true => Some(EventFile::begin(run.path(), &metrics_log::read(&run.metrics())?)?),
        false => None,
    };
    while progress.passes < passes {
        let mut record = trainer.pass(progress.passes, observer)?;
        progress.seconds.training += record.seconds;
        progress.passes += 1;
        let is_last = progress.passes == passes;
        let every = config.eval.every;
        let judged = is_last || (every > 0 && progress.passes.is_multiple_of(every));
        if judged {
            trainer.exchange_averages()?;
        }
        if is_last {
            let settling = Instant::now();
            settle(config, &trainer.model, features)?;
            progress.seconds.training += settling.elapsed().as_secs_f64();
        }
        if judged {
            let remembering = Instant::now();
            remember(config, &trainer.model, features)?;
            progress.seconds.training += remembering.elapsed().as_secs_f64();
            let started = Instant::now();
            let pass = progress.passes;
            let now = evaluate(config, &trainer.model, features, truth, pass, observer)?;
            progress.seconds.evaluation += started.elapsed().as_secs_f64();
            record.image_auroc = now.mean.image_auroc;
            record.pixel_auroc = now.mean.pixel_auroc;
            let better = |a: &Evaluation, b: &Evaluation| a.mean.image_auroc > b.mean.image_auroc;
            if progress.best.as_ref().is_none_or(|best| better(&now, best)) {
                progress.best = Some(now.clone());
            }
            progress.last = Some(now);
        }
        // The last stay: they are the model.
        if judged && !is_last {
            trainer.exchange_averages()?;
        }
        metrics_log::append(&run.metrics(), &record)?;
        if let Some(events) = &mut events {
            events.add(&record)?;
        }
        observer.event(Event::Pass(&record));
        if is_last || saved.elapsed().as_secs_f64() >= config.train.checkpoint_seconds {
            let t = &trainer;
            checkpoint::save(&run.checkpoint(), &t.model, &t.optimizers, &t.averages, progress)?;
            saved = Instant::now();
        }
    }
    Ok(())
}

/// A report that cannot be drawn costs no run.
fn warn_of_report(observer: &dyn Observer, error: &ExperimentError) {
    observer.event(Event::Warning(&format!("no report is written: {error}")));
}

/// Scores and pictures of the test images, and what a report shows of them.
fn picture<'a>(
    config: &Config,
    model: &Model,
    calibration: &'a Calibration,
    features: &'a Features,
    data: &'a Data,
    truth: &'a Truth,
    run: &RunFolder,
    observer: &dyn Observer,
) -> Result<Option<Collector<'a>>, ExperimentError> {
    let total = features.test.len() as u64;
    observer.event(Event::Begin { what: "scores and heat maps", total, unit: "images" });
    let mut pictures = HeatMaps::new(config.maps.per_class, run.maps(), features, data, truth);
    let mut scores = ImageScores::new();
    let collector = || Collector::new(&config.report, features, data, truth, calibration);
    let mut collected = config.report.enabled.then(collector);
    let mut done = 0;
    class_maps(config, model, features, |of| {
        let class = &model.classes[of.class];
        scores.add(&of, features, class);
        pictures.draw(&of, class)?;
        if let Some(Err(error)) = collected.as_mut().map(|c| c.add(&of, class)) {
            warn_of_report(observer, &error);
            collected = None;
        }
        done += of.samples.len() as u64;
        observer.event(Event::Advance { done, state: class });
        Ok(())
    })?;
    observer.event(Event::End);
    scores.write(&run.scores())?;
    pictures.finish()?;
    Ok(collected)
}

fn results(
    config: &Config,
    run: &RunFolder,
    features: &Features,
    parameters: usize,
    progress: Progress,
) -> Result<Results, ExperimentError> {
    let none = || ExperimentError::Run {
        path: run.path().into(),
        reason: "the run ended without an evaluation; its checkpoint is damaged, start anew".into(),
    };
    let last = progress.last.ok_or_else(none)?;
    let best = progress.best.ok_or_else(none)?;
    Ok(Results {
        schema: SCHEMA,
        name: config.name.clone(),
        id: run.id(),
        versions: Versions::here(),
        seconds: progress.seconds,
        train_images: features.train.len(),
        held_out_images: features.held_out.len(),
        test_images: features.test.len(),
        parameters,
        passes: progress.passes,
        mean: last.mean,
        classes: last.classes,
        class_accuracy: last.class_accuracy,
        deployed: None,
        best_on_test: best,
        settings: config.clone(),
    })
}

/// The table of a finished run computed again from its saved model. The first of an imported model
/// is kept as its results, which finishes that run, and calibrates the model for prediction.
///
/// # Errors
/// There is no model; the backbone or data are others than it was trained on.
pub fn reevaluate(
    path: &Path,
    overrides: impl FnOnce(&mut Config),
    observer: &dyn Observer,
) -> Result<(Config, Evaluation), ExperimentError> {
    again(path, overrides, false, observer)
}

/// [`reevaluate`] with a calibration made anew, which is written into the model's file.
///
/// # Errors
/// As [`reevaluate`].
pub fn recalibrate(
    path: &Path,
    overrides: impl FnOnce(&mut Config),
    observer: &dyn Observer,
) -> Result<(Config, Evaluation), ExperimentError> {
    again(path, overrides, true, observer)
}

fn again(
    path: &Path,
    overrides: impl FnOnce(&mut Config),
    anew: bool,
    observer: &dyn Observer,
) -> Result<(Config, Evaluation), ExperimentError> {
    let run = RunFolder::open(path)?;
    let mut config = run.load_config()?;
    overrides(&mut config);
    let started = Instant::now();
    let mut t = trained(&run, &config, observer)?;
    let features = started.elapsed().as_secs_f64();
    let first = run.is_imported() && !run.is_finished();
    if anew || (first && t.calibration.is_none()) {
        keep_calibration(&run, &config, &mut t, observer)?;
    }
    let evaluation = judge(&config, &t, observer)?;
    if first {
        let (last, best) = (Some(evaluation.clone()), Some(evaluation.clone()));
        let total = started.elapsed().as_secs_f64();
        let seconds =
            Seconds { features, evaluation: total - features, total, ..Seconds::default() };
        let progress = Progress { passes: t.passes, best, last, seconds };
        let mut results = results(&config, &run, &t.features, t.model.parameter_count(), progress)?;
        results.deployed = evaluation.deployed.clone();
        let text = serde_json::to_vec_pretty(&results).unwrap_or_default();
        atomic::write_bytes(&run.results(), &text)?;
    }
    Ok((config, evaluation))
}

/// Calibrates the model and writes that into its file.
fn keep_calibration(
    run: &RunFolder,
    config: &Config,
    t: &mut Trained,
    observer: &dyn Observer,
) -> Result<(), ExperimentError> {
    let calibration = calibrate(&t.config, &t.model, &t.features, observer)?;
    warn(&calibration, &t.model, observer);
    t.header.calibration = Some(calibration.clone());
    t.header.config.calibration = t.config.calibration.clone();
    t.calibration = Some(calibration);
    if t.weights.is_none() {
        t.weights = model_file::backbone_weights(config, &t.features.fingerprint)?;
    }
    model_file::save(&run.model(), &t.model, &t.header, t.weights.as_ref())
}

/// Both tables: the paper's rule and the deployed scores, with the model's own calibration where it
/// has one.
fn judge(
    config: &Config,
    t: &Trained,
    observer: &dyn Observer,
) -> Result<Evaluation, ExperimentError> {
    let mut evaluation = evaluate(config, &t.model, &t.features, &t.truth, t.passes, observer)?;
    let calibration = match &t.calibration {
        Some(own) => own.clone(),
        None => calibrate(&t.config, &t.model, &t.features, observer)?,
    };
    let (model, truth) = (&t.model, &t.truth);
    let deployed = evaluate_deployed(&t.config, model, &calibration, &t.features, truth, observer)?;
    evaluation.deployed = Some(deployed);
    Ok(evaluation)
}

/// A trained model with what it is tested on.
struct Trained {
    model: Model,
    header: ModelHeader,
    /// The backbone's weights, where the model's file has them.
    weights: Option<KeptWeights>,
    calibration: Option<Calibration>,
    passes: usize,
    /// As asked, with the images held out that the model was not trained on.
    config: Config,
    data: Data,
    features: Features,
    truth: Truth,
}

/// The model of `run`, with data and features as `config` has them.
fn trained(
    run: &RunFolder,
    config: &Config,
    observer: &dyn Observer,
) -> Result<Trained, ExperimentError> {
    let wrong = |reason: String| ExperimentError::Run { path: run.path().into(), reason };
    if !run.model().is_file() {
        let reason = "there is no model.safetensors here: the run was not finished; go on with it with --resume";
        return Err(wrong(reason.into()));
    }
    let device = device::open(config)?;
    let mut file = ModelFile::read(&run.model())?;
    let model = file.model(&device)?;
    let weights = file.take_backbone_weights();
    let header = file.header;
    let mut config = config.clone();
    config.seed = header.config.seed;
    config.calibration.share = match &header.calibration {
        Some(_) => header.config.calibration.share,
        // Earlier versions trained on all.
        None => 0.0,
    };
    config.calibration.minimum = header.config.calibration.minimum;
    let data = data::open(&config)?;
    if data.dataset.classes() != model.classes {
        return Err(wrong(format!(
            "the model knows the classes {}, the data set has {}",
            model.classes.join(", "),
            data.dataset.classes().join(", ")
        )));
    }
    let features = features::prepare(&config, &data, observer)?;
    if features.fingerprint != header.backbone || features.shapes() != header.shapes {
        let reason = "the model was trained on another backbone, other weights or another image size than the configuration names now";
        return Err(wrong(reason.into()));
    }
    let truth = Truth::load(&features, data.dataset.as_ref(), config.data.mask_size)?;
    Ok(Trained {
        model,
        calibration: header.calibration.clone().filter(Calibration::is_current),
        passes: header.passes,
        header,
        weights,
        config,
        data,
        features,
        truth,
    })
}
