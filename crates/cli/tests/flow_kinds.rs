//! Every kind of flow and every permutation, through the program.

mod common;

use common::{Place, SMALL, fail, json, succeed};
use std::path::Path;

/// One stage, so that the first and the last loss are of one sum.
const LEARN: &[&str] =
    &["train.epochs=6", "train.rate=5e-3", "loss.second_stage=0", "maps.per_class=0"];

fn losses(run: &Path) -> Vec<f64> {
    let log = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    let of = |line: &str| -> f64 {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].as_f64().unwrap()
    };
    log.lines().map(of).collect()
}

#[test]
fn each_learns_and_is_evaluated() {
    let place = Place::new();
    for change in [
        &["flow.kind=coupling"][..],
        &["flow.kind=nice"],
        &["flow.kind=realnvp"],
        &["flow.kind=glow"],
        &["flow.kind=spline"],
        &["flow.kind=fastflow"],
        &["flow.kind=fastflow", "flow.condition=0", "train.chunk=70"],
        &["flow.kind=glow", "flow.actnorm=identity"],
        &["flow.kind=spline", "flow.bins=4", "flow.tail_bound=5"],
        &["flow.permutation=hard"],
        &["flow.affine=data"],
        &["flow.permutation=householder", "flow.reflections=4"],
        &["flow.permutation=lu"],
        &["flow.kind=glow", "flow.permutation=soft", "flow.condition=0"],
    ] {
        let settings = [SMALL, LEARN, change, &["eval.every=0"]].concat();
        succeed(place.experiment("demo", &settings, &["--threads", "2"]));
        let run = place.run_of("demo");
        let losses = losses(&run);
        assert_eq!(losses.len(), 6);
        assert!(losses[5] < losses[0] - 0.05 * losses[0].abs(), "{change:?}: {losses:?}");
        let results = json(&run.join("results.json"));
        for metric in ["image_auroc", "pixel_auroc"] {
            let value = results["mean"][metric].as_f64().unwrap();
            assert!((0.0..=1.0).contains(&value), "{change:?}: {metric} {value}");
        }
        // The saved model is the flow that was trained.
        let again = place.path().join("again.json");
        succeed(place.command(&[
            "evaluate",
            run.to_str().unwrap(),
            "--results",
            again.to_str().unwrap(),
        ]));
        assert_eq!(json(&again)["classes"], results["classes"], "{change:?}");
    }
}

#[test]
fn what_makes_no_flow_is_told_before_anything_runs() {
    let place = Place::new();
    for (wrong, word) in [
        ("flow.kind=flew", "realnvp"),
        ("flow.permutation=random", "householder"),
        ("flow.actnorm=batch", "identity"),
        ("flow.affine=batch", "identity"),
        ("flow.kind=glow flow.affine=data", "flow.actnorm"),
        ("flow.bins=1", "flow.bins"),
        ("flow.tail_bound=0", "flow.tail_bound"),
        ("flow.reflections=0", "flow.reflections"),
        ("flow.options={speed=3}", "speed"),
    ] {
        let wrong: Vec<&str> = wrong.split(' ').collect();
        let settings = [SMALL, &wrong].concat();
        let (code, printed) = fail(place.experiment("demo", &settings, &[]));
        assert_eq!(code, 2, "{printed}");
        assert!(printed.contains(word), "{printed}");
        assert!(!printed.contains("pass 1/"), "refused before training:\n{printed}");
    }
}

#[test]
fn pieces_and_ablations_of_flows_compose() {
    let place = Place::new();
    for kind in ["nice", "realnvp", "glow", "spline", "fastflow"] {
        let text = format!("extends = [\"demo\", \"flow/{kind}\"]\nabout = \"{kind}\"\n");
        std::fs::write(place.path().join("one.toml"), text).unwrap();
        let printed = succeed(place.command(&["config", "one.toml"]));
        assert!(printed.contains(&format!("kind = \"{kind}\"")), "{printed}");
    }
    for (name, words) in [
        ("flows", &["coupling", "nice", "realnvp", "glow", "spline", "fastflow"][..]),
        ("permutations", &["soft", "hard", "householder", "lu"]),
    ] {
        let printed = succeed(place.command(&["ablation", name, "--plan", "--base", "demo"]));
        assert!(words.iter().all(|w| printed.contains(w)), "{printed}");
    }
}
