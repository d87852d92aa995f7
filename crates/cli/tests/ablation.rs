//! Ablations through the program.

mod common;

use common::{Place, SMALL, fail, json, succeed};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// `ablation NAME` on the small demo.
fn ablation(place: &Place, name: &str, settings: &[&str], more: &[&str]) -> Command {
    let mut c = place.command(&["ablation", name, "--threads", "2"]);
    // The variants of shipped ablations are evaluated at the end alone.
    let small = SMALL.iter().filter(|s| !s.starts_with("eval.every"));
    for s in small.chain(&["maps.per_class=0"]).chain(settings) {
        c.args(["--set", s]);
    }
    c.args(more);
    c
}

const DEMO: &[&str] = &["--base", "demo"];

fn variants(summary: &Value) -> Vec<(String, Value)> {
    let of = |v: &Value| (v["name"].as_str().unwrap().to_string(), v["mean"].clone());
    summary["variants"].as_array().unwrap().iter().map(of).collect()
}

/// All run folders below an ablation's.
fn runs(folder: &Path) -> Vec<PathBuf> {
    let folders = |p: &Path| {
        let all = std::fs::read_dir(p).unwrap().map(|e| e.unwrap().path());
        all.filter(|p| p.is_dir()).collect::<Vec<_>>()
    };
    folders(folder).iter().flat_map(|variant| folders(variant)).collect()
}

#[test]
fn a_table_over_seeds_that_goes_on_where_it_was() {
    let place = Place::new();
    let more = [DEMO, &["--seeds", "0,1", "--results", "r.json"]].concat();
    let printed = succeed(ablation(&place, "priors", &[], &more));
    for word in ["single", "hierarchical (ref.)", "image AUROC", "±", "figure.svg"] {
        assert!(printed.contains(word), "{word} in:\n{printed}");
    }
    let folder = place.path().join("runs/ablation-priors");
    for file in ["results.json", "table.md", "table.csv", "figure.svg"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    assert_eq!(runs(&folder).len(), 6);
    let summary = json(&place.path().join("r.json"));
    assert_eq!(summary, json(&folder.join("results.json")));
    let names: Vec<String> = variants(&summary).into_iter().map(|v| v.0).collect();
    assert_eq!(names, ["single", "mixture", "hierarchical"]);
    for variant in summary["variants"].as_array().unwrap() {
        assert_eq!(variant["seeds"], serde_json::json!([0, 1]));
        let of_runs: Vec<Value> = variant["runs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| json(&place.path().join(r.as_str().unwrap()).join("results.json")))
            .collect();
        assert_eq!(of_runs[0]["settings"]["prior"]["kind"], variant["name"]);
        assert_eq!(of_runs[1]["settings"]["seed"], 1);
        let of = |i: usize| of_runs[i]["mean"]["image_auroc"].as_f64().unwrap();
        let (a, b) = (of(0), of(1));
        let value = |key: &str| variant[key]["image_auroc"].as_f64().unwrap();
        assert!((value("mean") - (a + b) / 2.0).abs() < 1e-12);
        assert!((value("std") - (a - b).abs() / 2f64.sqrt()).abs() < 1e-12);
        let reference = summary["variants"][2]["mean"]["image_auroc"].as_f64().unwrap();
        assert!((value("difference") - (value("mean") - reference)).abs() < 1e-12);
    }

    // Nothing is run twice.
    let printed = succeed(ablation(&place, "priors", &[], &more));
    assert_eq!(printed.matches("finished before").count(), 6, "{printed}");
    assert_eq!(variants(&json(&place.path().join("r.json"))), variants(&summary));
    assert_eq!(runs(&folder).len(), 6);

    // A third seed is added to what is there, two runs at once.
    let more = [DEMO, &["--seeds", "0,1,2", "--jobs", "2"]].concat();
    let printed = succeed(ablation(&place, "priors", &[], &more));
    assert_eq!(printed.matches("finished before").count(), 6, "{printed}");
    assert_eq!(runs(&folder).len(), 9);
}

#[test]
fn a_killed_ablation_ends_as_if_it_had_not_been() {
    let settings = ["train.epochs=12", "train.checkpoint_seconds=0"];
    let more = [DEMO, &["--seeds", "0", "--results", "r.json"]].concat();
    let whole = Place::new();
    succeed(ablation(&whole, "priors", &settings, &more));

    let place = Place::new();
    let mut child = ablation(&place, "priors", &settings, &more)
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let variant = place.path().join("runs/ablation-priors/mixture");
    let started = std::time::Instant::now();
    // In the middle of the second variant.
    while !std::fs::read_dir(&variant)
        .is_ok_and(|d| d.flatten().any(|r| r.path().join("checkpoint/last.safetensors").is_file()))
    {
        assert!(started.elapsed().as_secs() < 120, "no checkpoint in two minutes");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!place.path().join("r.json").exists(), "it ended before it was killed");

    let printed = succeed(ablation(&place, "priors", &settings, &more));
    assert_eq!(printed.matches("finished before").count(), 1, "{printed}");
    assert!(printed.contains("going on after pass"), "{printed}");
    let of = |p: &Place| variants(&json(&p.path().join("r.json")));
    assert_eq!(of(&place), of(&whole));
    assert_eq!(runs(&place.path().join("runs/ablation-priors")).len(), 3);
}

#[test]
fn variants_that_differ_in_their_scores_share_a_model() {
    let place = Place::new();
    let more = [DEMO, &["--seeds", "0", "--results", "r.json"]].concat();
    let printed = succeed(ablation(&place, "scores", &[], &more));
    assert_eq!(printed.matches("pass 3/3").count(), 1, "trained once:\n{printed}");
    assert_eq!(printed.matches("scored with the model of").count(), 4, "{printed}");
    let summary = variants(&json(&place.path().join("r.json")));
    let of = |name: &str| summary.iter().find(|v| v.0 == name).unwrap().1.clone();
    assert_ne!(of("product"), of("entropy"));
    // The same as if it had been trained for itself.
    let own = ["maps.per_class=0", "eval.every=0", "score.rule=entropy", "calibration.share=0"];
    let settings = [SMALL, &own].concat();
    succeed(place.experiment("demo", &settings, &["--threads", "2", "--results", "own.json"]));
    assert_eq!(json(&place.path().join("own.json"))["mean"], of("entropy"));
    // Each run can be evaluated on its own.
    let run = &runs(&place.path().join("runs/ablation-scores"))[0];
    succeed(place.command(&["evaluate", run.to_str().unwrap()]));
}

#[test]
fn a_run_that_diverges_is_left_out_and_told() {
    let place = Place::new();
    let text = "about = \"a rate that is too high\"\nbase = \"demo\"\n\
                [[variants]]\nname = \"good\"\n[[variants]]\nname = \"wild\"\nset.train.rate = 1e30\n";
    std::fs::write(place.path().join("rates.toml"), text).unwrap();
    let (code, printed) = fail(ablation(&place, "rates.toml", &[], &["--results", "r.json"]));
    assert_eq!(code, 1);
    assert!(printed.contains("wild, seed 0: the loss became"), "{printed}");
    assert!(printed.contains("missing"), "{printed}");
    let summary = json(&place.path().join("r.json"));
    assert_eq!(summary["variants"][0]["seeds"], serde_json::json!([0]));
    assert_eq!(summary["variants"][1]["seeds"], serde_json::json!([]));
    assert_eq!(summary["failed"].as_array().unwrap().len(), 1);
}

#[test]
fn what_is_asked_wrongly_is_told_before_anything_runs() {
    let place = Place::new();
    for (name, more, word) in [
        ("no-such", &[][..], "priors"),
        ("priors", &["--set", "prior.kind=single"], "--only"),
        ("priors", &["--only", "vampire"], "mixture"),
        ("priors", &["--seeds", "1,1"], "--seeds"),
        ("priors", &["--base", "no-such"], "hgad-mvtec"),
    ] {
        let (code, printed) = fail(ablation(&place, name, &[], more));
        assert!(code == 2 && printed.contains(word), "{code} {printed}");
    }
    assert!(!place.path().join("runs").exists());
    let printed = succeed(place.command(&["ablation", "lambdas", "--plan", "--base", "demo"]));
    assert!(printed.contains("loss.mutual_information = 200"), "{printed}");
}
