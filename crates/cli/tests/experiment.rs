//! Whole experiments through the program.

mod common;

use common::{Place, SMALL, json, succeed};

const METRICS: [&str; 7] =
    ["image_auroc", "pixel_auroc", "image_ap", "pixel_ap", "image_f1max", "pixel_f1max", "aupro"];

#[test]
fn a_run_leaves_what_the_documentation_says() {
    let place = Place::new();
    let printed = succeed(place.experiment("demo", SMALL, &["--results", "out/r.json"]));
    for part in ["mean", "I-AUROC", "honest", "as the paper reports", "run folder"] {
        assert!(printed.contains(part), "{part} in:\n{printed}");
    }
    let run = place.run_of("demo");
    for file in [
        "config.toml",
        "metrics.jsonl",
        "results.json",
        "model.safetensors",
        "scores.csv",
        "maps/overview.png",
        "maps/best-and-worst.png",
    ] {
        assert!(run.join(file).is_file(), "{file}");
    }
    assert!(!run.join("checkpoint").exists());
    let scores = std::fs::read_to_string(run.join("scores.csv")).unwrap();
    assert_eq!(scores.lines().count(), 1 + 6 * 10, "a line for each of the test images");
    let results = json(&run.join("results.json"));
    assert_eq!(results, json(&place.path().join("out/r.json")));
    assert_eq!(results["passes"], 3);
    assert_eq!(results["classes"].as_object().unwrap().len(), 6);
    for metric in METRICS {
        let mean = results["mean"][metric].as_f64().unwrap();
        let all: Vec<f64> = results["classes"]
            .as_object()
            .unwrap()
            .values()
            .map(|c| c[metric].as_f64().unwrap())
            .collect();
        assert!((all.iter().sum::<f64>() / 6.0 - mean).abs() < 1e-12, "{metric}");
    }
    let best = results["best_on_test"]["mean"]["image_auroc"].as_f64().unwrap();
    assert!(best >= results["mean"]["image_auroc"].as_f64().unwrap());
    let lines = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 3);

    // The saved model gives the same table.
    let again = place.path().join("again.json");
    let run_text = run.to_str().unwrap();
    succeed(place.command(&["evaluate", run_text, "--results", again.to_str().unwrap()]));
    let evaluation = json(&again);
    assert_eq!(evaluation["classes"], results["classes"]);

    // The resolved configuration is an experiment of its own.
    let config = run.join("config.toml");
    let printed = succeed(place.experiment(config.to_str().unwrap(), &[], &[]));
    assert!(!printed.contains("features of"), "features came from the cache:\n{printed}");
    let repeated = json(&place.run_of("demo").join("results.json"));
    assert_eq!(repeated["classes"], results["classes"]);
}

#[test]
fn a_killed_run_ends_as_if_it_had_not_been() {
    let place = Place::new();
    let mut settings = SMALL.to_vec();
    settings.extend(["train.epochs=24", "train.checkpoint_seconds=0", "maps.per_class=0"]);
    settings.push("train.average=0.9");
    succeed(place.experiment("demo", &settings, &["--threads", "2"]));
    let whole = place.run_of("demo");
    let bytes = std::fs::read(whole.join("model.safetensors")).unwrap();

    let mut child = place
        .experiment("demo", &settings, &["--threads", "2"])
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let started = std::time::Instant::now();
    let cut = loop {
        let run = place.run_of("demo");
        let lines = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap_or_default();
        if run != whole
            && lines.lines().count() >= 3
            && run.join("checkpoint/last.safetensors").is_file()
        {
            break run;
        }
        assert!(started.elapsed().as_secs() < 120, "no pass was finished in two minutes");
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!cut.join("results.json").exists(), "the run ended before it was killed");

    let printed = succeed(place.experiment("demo", &settings, &["--threads", "2", "--resume"]));
    assert!(printed.contains("going on after pass"), "{printed}");
    assert!(bytes == std::fs::read(cut.join("model.safetensors")).unwrap(), "other parameters");
    let (a, b) = (json(&whole.join("results.json")), json(&cut.join("results.json")));
    assert_eq!(a["classes"], b["classes"]);
    assert_eq!(a["best_on_test"], b["best_on_test"]);
    let lines = |run: &std::path::Path| -> Vec<(u64, f64)> {
        std::fs::read_to_string(run.join("metrics.jsonl"))
            .unwrap()
            .lines()
            .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap())
            .map(|v| (v["pass"].as_u64().unwrap(), v["loss"].as_f64().unwrap()))
            .collect()
    };
    assert_eq!(lines(&whole), lines(&cut));
    let (_, printed) = common::fail(place.experiment("demo", &settings, &["--resume"]));
    assert!(printed.contains("no unfinished run"), "{printed}");
}

#[test]
fn averages_of_parameters_are_judged_and_saved_and_leave_training_as_it_is() {
    let place = Place::new();
    let run = |average: &'static str, name: &'static str| {
        let settings = [SMALL, &["train.epochs=6", "maps.per_class=0", average, name]].concat();
        succeed(place.experiment("demo", &settings, &["--threads", "1"]));
        let run = place.run_of(name.trim_start_matches("name="));
        let lines = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        let passes: Vec<serde_json::Value> =
            lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let of =
            |key: &str| -> Vec<f64> { passes.iter().map(|p| p[key].as_f64().unwrap()).collect() };
        (of("loss"), of("pixel_auroc"), std::fs::read(run.join("model.safetensors")).unwrap())
    };
    let (losses, judged, model) = run("train.average=0", "name=last");
    let (same, other, averaged) = run("train.average=0.9", "name=averaged");
    assert_eq!(losses, same);
    assert!(judged.iter().zip(&other).all(|(a, b)| a != b), "{judged:?} {other:?}");
    let tensors = |bytes: &[u8]| {
        let model = safetensors::SafeTensors::deserialize(bytes).unwrap();
        let name = "levels.0.prior.mu";
        let names = model.names().iter().map(|n| n.to_string()).collect::<Vec<_>>();
        let name =
            names.iter().find(|n| n.starts_with(name)).unwrap_or_else(|| panic!("{names:?}"));
        model.tensor(name).unwrap().data().to_vec()
    };
    assert!(tensors(&model) != tensors(&averaged), "the last step's parameters were saved");
}

#[test]
fn every_prior_and_kind_of_flow_runs() {
    let place = Place::new();
    let mut settings = SMALL.to_vec();
    settings.extend(["train.epochs=1", "loss.second_stage=0", "maps.per_class=0"]);
    for change in [
        "prior.kind=single",
        "prior.kind=mixture",
        "prior.centers=3",
        "flow.condition=0",
        "score.rule=entropy",
        "cache.dtype=f16",
        "prior.learned=false",
        "prior.covariance=diagonal",
        "prior.weights=uniform",
        "score.rule=sum",
        "score.class=inferred",
        "loss.entropy=[1, 0]",
        "backbone.taps=[4, 8]",
    ] {
        let mut with = settings.clone();
        with.push(change);
        succeed(place.experiment("demo", &with, &[]));
    }
    for (wrong, word) in [
        ("score.rule=product", "class posterior"),
        ("score.class=inferred", "without classes"),
        ("prior.options={ degrees = 3 }", "degrees"),
        ("loss.more={ energy = 1.0 }", "energy"),
        ("prior.covariance=full", "diagonal"),
    ] {
        let settings = [&settings[..], &["prior.kind=single", wrong]].concat();
        let (code, printed) = common::fail(place.experiment("demo", &settings, &[]));
        assert_eq!(code, 2);
        assert!(printed.contains(word), "{printed}");
        assert!(!printed.contains("pass 1/"), "refused before training:\n{printed}");
    }
}
