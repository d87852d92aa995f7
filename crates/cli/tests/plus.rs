//! Joined and whitened features, a prior that starts from data, the standardized rule, the memory.

mod common;

use common::{Place, SMALL, fail, succeed};
use serde_json::Value;
use std::path::Path;

/// The pieces beyond the paper, small.
const PLUS: &[&str] = &[
    "backbone.taps=[4, 8]",
    "features.join=true",
    "features.neighbourhood=3",
    "features.margin=16",
    "features.scale=whiten",
    "prior.start=clusters",
    "prior.covariance=whitened",
    "prior.centers=4",
    "prior.settle=clusters",
    "prior.memory=30",
    "loss.smoothing=0",
    "train.positions=0.5",
    "score.rule=standardized",
    "score.top=0.02",
    "score.relative=0.5",
    "score.nearness=3",
];

fn settings(more: &[&'static str]) -> Vec<&'static str> {
    [SMALL, &["flow.condition=0", "train.batch=4"], more].concat()
}

fn results(run: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(run.join("results.json")).unwrap()).unwrap()
}

fn auroc(run: &Path) -> f64 {
    results(run)["mean"]["image_auroc"].as_f64().unwrap()
}

#[test]
fn a_killed_run_ends_the_same_and_its_model_predicts_what_was_evaluated() {
    let place = Place::new();
    let settings = settings(PLUS);
    succeed(place.experiment("demo", &settings, &["--threads", "1"]));
    let whole = place.run_of("demo");
    let model = std::fs::read(whole.join("model.safetensors")).unwrap();
    assert!(auroc(&whole) > 0.8, "{}", results(&whole)["mean"]);

    // Killed after its first checkpoint.
    let again = Place::new();
    let mut child = again
        .experiment(
            "demo",
            &[&settings[..], &["train.checkpoint_seconds=0"]].concat(),
            &["--threads", "1"],
        )
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let started = std::time::Instant::now();
    let stopped = loop {
        let found =
            std::fs::read_dir(again.path().join("runs/demo")).ok().and_then(|mut d| d.next());
        if let Some(Ok(run)) = found
            && run.path().join("checkpoint/last.safetensors").exists()
        {
            child.kill().unwrap();
            break run.path();
        }
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break again.run_of("demo");
        }
        assert!(started.elapsed().as_secs() < 300, "no checkpoint came");
    };
    let _ = child.wait();
    if !stopped.join("results.json").exists() {
        let resume = format!("--resume={}", stopped.display());
        succeed(again.experiment("demo", &[], &[&resume, "--threads", "1"]));
    }
    let tensors = |bytes: &[u8]| {
        let model = safetensors::SafeTensors::deserialize(bytes).unwrap();
        let mut all: Vec<(String, Vec<u8>)> =
            model.tensors().into_iter().map(|(n, t)| (n, t.data().to_vec())).collect();
        all.sort();
        all
    };
    let resumed = std::fs::read(stopped.join("model.safetensors")).unwrap();
    assert!(tensors(&model) == tensors(&resumed), "the resumed model differs");
    assert!(tensors(&model).iter().any(|(n, _)| n == "levels.0.scaling.matrix"));
    assert!(tensors(&model).iter().any(|(n, _)| n == "levels.0.prior.whitening"));
    assert!(tensors(&model).iter().any(|(n, _)| n == "levels.0.prior.memory"));

    // The images of the demo as files, and what the deployed model says of them.
    let photos = place.path().join("photos");
    let photos = photos.to_str().unwrap();
    succeed(place.command(&["datasets", "synthesize", photos]));
    let test = format!("{photos}/capsule/test/good");
    let test = if Path::new(&test).exists() { test } else { photos.to_string() };
    let out = place.path().join("found");
    let out = out.to_str().unwrap();
    let mut predict = place.command(&["predict", whole.to_str().unwrap(), &test, "--out", out]);
    predict.args(["--maps", "npy"]);
    succeed(predict);
    let rows = std::fs::read_to_string(Path::new(out).join("predictions.jsonl")).unwrap();
    let rows: Vec<Value> = rows.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let scores: Vec<f64> = rows.iter().map(|r| r["score"].as_f64().unwrap()).collect();
    assert!(!scores.is_empty() && scores.iter().all(|s| (0.0..=1.0).contains(s)), "{scores:?}");
    // With the mean of the largest values, a normal image may have pixels above the threshold: no region.
    for row in &rows {
        let regions = row["regions"].as_array().unwrap().len();
        assert!(row["verdict"] != "normal" || regions == 0, "{row}");
    }
    assert!(rows.iter().any(|r| r["verdict"] == "normal"), "no normal image among {}", rows.len());
}

/// A memory, which needs no training, and what its run printed.
fn memory(place: &Place) -> String {
    let memory = [
        "flow.kind=identity",
        "prior.kind=memory",
        "prior.centers=60",
        "prior.start=coreset",
        "features.scale=standardize",
        "features.join=true",
        "backbone.taps=[4, 8]",
        "train.epochs=0",
        "score.rule=standardized",
    ];
    succeed(place.experiment("demo", &settings(&memory), &[]))
}

#[test]
fn a_memory_needs_no_training() {
    let place = Place::new();
    let printed = memory(&place);
    assert!(!printed.contains("pass 1/"), "{printed}");
    let run = place.run_of("demo");
    assert!(auroc(&run) > 0.8, "{}", results(&run)["mean"]);

    succeed(place.command(&["evaluate", run.to_str().unwrap()]));
}

#[test]
fn what_nearness_is_usual_is_told_by_images_without_their_own_latents() {
    let place = Place::new();
    // Every latent of every image is remembered: with its own, each image would be at no distance.
    let all = [
        "flow.kind=identity",
        "prior.start=clusters",
        "prior.centers=4",
        "prior.covariance=whitened",
        "prior.memory_sample=100000",
        "prior.memory=2000",
        "features.scale=standardize",
        "train.epochs=0",
        "score.rule=standardized",
    ];
    succeed(place.experiment("demo", &settings(&all), &[]));
    // The table's constants are those that the model is deployed with.
    let found = results(&place.run_of("demo"));
    let (table, deployed) = (&found["mean"], &found["deployed"]["mean"]["given"]);
    let of = |v: &Value| v["pixel_auroc"].as_f64().unwrap();
    // Ties of rounded scores move the eighth digit.
    assert!((of(table) - of(deployed)).abs() < 1e-6, "{table} {deployed}");
    let bytes = std::fs::read(place.run_of("demo").join("model.safetensors")).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let described = header.metadata().clone().unwrap();
    let model: Value = serde_json::from_str(described.values().next().unwrap()).unwrap();
    let classes = model["calibration"]["classes"].as_array().unwrap();
    assert_eq!(classes.len(), 6);
    for class in classes {
        let moments = class["constants"]["normal"][0]["nearness"].as_array().unwrap();
        let means: Vec<f64> = moments.iter().map(|m| m[0].as_f64().unwrap()).collect();
        assert!(!means.is_empty() && means.iter().all(|m| *m < -0.01), "{means:?}");
    }
}

#[test]
fn a_model_calibrated_by_an_earlier_form_of_the_rule_predicts_after_it_is_calibrated_anew() {
    let place = Place::new();
    memory(&place);
    let run = place.run_of("demo");
    let file = run.join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    // A digit after each of these, in the JSON of the file's description.
    let key = br#"\"revision\":"#;
    let digits: Vec<usize> = (key.len()..bytes.len().min(1 << 20))
        .filter(|i| bytes[..*i].ends_with(key) && bytes[*i].is_ascii_digit())
        .collect();
    assert!(!digits.is_empty());
    let mut old = bytes.clone();
    digits.iter().for_each(|i| old[*i] = b'0');
    std::fs::write(&file, old).unwrap();

    let run = run.to_str().unwrap();
    succeed(place.command(&["datasets", "synthesize", "photos"]));
    let predict = || place.command(&["predict", run, "photos/gear/test/good"]);
    let (_, message) = fail(predict());
    assert!(message.contains("earlier") && message.contains("--recalibrate"), "{message}");
    succeed(place.command(&["evaluate", run]));
    fail(predict());
    succeed(place.command(&["evaluate", run, "--recalibrate"]));
    succeed(predict());
    assert!(std::fs::read(&file).unwrap() == bytes, "calibrated anew it is as it was");
}

#[test]
fn settings_that_do_not_fit_are_refused_by_their_key() {
    let place = Place::new();
    for (wrong, words) in [
        ("features.margin=10", ["features.margin", "stride"]),
        ("features.margin=64", ["features.margin", "side"]),
        ("features.neighbourhood=2", ["features.neighbourhood", "odd"]),
        ("features.scale=big", ["features.scale", "whiten"]),
        ("prior.start=here", ["prior.start", "coreset"]),
        ("prior.covariance=whitened", ["prior.covariance", "prior.start"]),
        ("prior.kind=memory", ["prior.start", "coreset"]),
        ("prior.kind=single prior.start=clusters", ["prior.start", "paper"]),
        ("train.epochs=0", ["train.epochs", "prior.start"]),
        ("train.average=1", ["train.average", "below 1"]),
        ("train.positions=0", ["train.positions", "share"]),
        ("train.positions=1.5", ["train.positions", "share"]),
        ("train.hard=2", ["train.hard", "from 0 to 1"]),
        ("train.hard=0.5", ["train.hard", "train.positions"]),
        ("train.hard=0.5 train.positions=0.5 flow.condition=8", ["train.hard", "flow.condition"]),
        ("train.hard=0.5 train.positions=0.5 flow.kind=fastflow", ["train.hard", "whole maps"]),
        ("score.top=2", ["score.top", "share"]),
        ("score.soft=-1", ["score.soft", "positive"]),
        ("score.soft=1 score.top=0.1", ["score.soft", "score.top"]),
        ("score.temperatures=[1,0]", ["score.temperatures", "positive"]),
        ("score.temperatures=[2,1] score.rule=standardized", ["score.temperatures", "product"]),
        ("prior.settle=there", ["prior.settle", "coreset"]),
        ("prior.settle=clusters", ["prior.settle", "prior.start"]),
        ("prior.settle=clusters prior.kind=single", ["prior.settle", "prior.start"]),
        ("prior.memory=9", ["prior.memory", "standardized"]),
        ("prior.memory_sample=0", ["prior.memory_sample", "at least 1"]),
        ("prior.kind=memory prior.memory=9 prior.start=coreset", ["prior.memory", "prior.centers"]),
        ("score.relative=2", ["score.relative", "from 0 to 1"]),
        ("score.relative=0.5", ["score.relative", "standardized"]),
        ("score.nearness=-1", ["score.nearness", "from 0 up"]),
        ("score.nearness=3", ["score.nearness", "standardized"]),
        ("score.coarser=0", ["score.coarser", "positive"]),
        ("eval.on=train", ["eval.on", "pasted"]),
        ("eval.on=pasted calibration.share=0", ["eval.on", "calibration.share"]),
    ] {
        let wrong: Vec<&str> = wrong.split(' ').collect();
        let (code, printed) = fail(place.experiment("demo", &settings(&wrong), &[]));
        assert_eq!(code, 2, "{printed}");
        assert!(words.iter().all(|w| printed.contains(w)), "{wrong:?}: {printed}");
    }
}
