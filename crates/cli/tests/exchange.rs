//! `hgad import` and `hgad export` through the program.

mod common;

use common::{Place, SMALL, fail, json, succeed};
use std::path::{Path, PathBuf};
use std::process::Command;

fn import(place: &Place, file: &str, more: &[&str]) -> Command {
    let mut c = place.command(&["import", file, "--experiment", "demo"]);
    SMALL.iter().filter(|s| !s.starts_with("flow.")).for_each(|s| {
        c.args(["--set", s]);
    });
    c.args(more);
    c
}

fn fixture() -> String {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiment/tests");
    tests.join("fixtures/published.pt").canonicalize().unwrap().display().to_string()
}

/// The table of a run, computed now.
fn evaluation(place: &Place, run: &Path) -> serde_json::Value {
    let out = place.path().join("evaluation.json");
    succeed(place.command(&[
        "evaluate",
        run.to_str().unwrap(),
        "--results",
        out.to_str().unwrap(),
    ]));
    json(&out)
}

#[test]
fn a_run_goes_out_and_comes_back() {
    let place = Place::new();
    succeed(place.experiment("demo", SMALL, &["--set", "maps.per_class=0"]));
    let run = place.run_of("demo");
    let printed = succeed(place.command(&["export", run.to_str().unwrap()]));
    assert!(printed.contains("board,capsule,fabric,gear,leather,wood"), "{printed}");
    let flat = place.path().join("flat.safetensors");
    succeed(place.command(&["export", run.to_str().unwrap(), "--out", flat.to_str().unwrap()]));
    let trained = json(&run.join("results.json"));
    for file in [run.join("model.pt"), flat] {
        let folder = place.path().join(file.file_name().unwrap()).with_extension("run");
        let printed =
            succeed(import(&place, file.to_str().unwrap(), &["--out", folder.to_str().unwrap()]));
        assert!(printed.contains("2 blocks") && printed.contains("3 passes"), "{printed}");
        assert_eq!(evaluation(&place, &folder)["classes"], trained["classes"]);
        // The first table is kept, and the run is one that others can be compared with.
        assert_eq!(json(&folder.join("results.json"))["classes"], trained["classes"]);
        let printed = succeed(place.command(&["compare", folder.to_str().unwrap()]));
        assert!(printed.contains("demo-imported"), "{printed}");
    }
}

#[test]
fn a_file_of_torch_is_tested() {
    let place = Place::new();
    let two = ["--set", "backbone.pyramid=2"];
    let printed = succeed(import(&place, &fixture(), &two));
    for part in ["2 levels of 69 channels", "6 classes of 4 centres", "42 passes", "hgad evaluate"]
    {
        assert!(printed.contains(part), "{part} in:\n{printed}");
    }
    let run = place.run_of("demo-imported");
    let text = run.to_str().unwrap();
    let (code, printed) = fail(place.command(&["compare", text]));
    assert!(code == 2 && printed.contains("hgad evaluate"), "{printed}");
    let evaluation = evaluation(&place, &run);
    assert_eq!(evaluation["pass"], 42);
    assert_eq!(evaluation["classes"].as_object().unwrap().len(), 6);
    // There is nothing to train on with.
    for resume in ["--resume".to_string(), format!("--resume={text}")] {
        let mut settings = SMALL.to_vec();
        settings.push("name=demo-imported");
        let (code, _) = fail(place.experiment("demo", &settings, &[&resume]));
        assert_eq!(code, 2);
    }
    assert!(!run.join("checkpoint").exists() && !run.join("metrics.jsonl").exists());
}

#[test]
fn what_cannot_be_done_is_told() {
    let place = Place::new();
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = place.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let bad = write("bad.pt", b"not a checkpoint");
    let (code, printed) = fail(import(&place, bad.to_str().unwrap(), &[]));
    assert!(code == 2 && printed.contains("torch.save"), "{printed}");
    let (code, printed) = fail(import(&place, &fixture(), &[]));
    assert!(code == 2 && printed.contains("2 level(s) of 69"), "{printed}");
    let (code, printed) = fail(import(&place, &fixture(), &["--classes", "a,b"]));
    assert!(code == 2 && !printed.contains("panicked"), "{printed}");
    assert!(!place.path().join("runs").exists(), "a run folder was left behind");
    let (code, printed) = fail(place.command(&["export", "nowhere"]));
    assert!(printed.contains("nowhere"), "{printed}");
    assert_ne!(code, 101);
    let mut settings = SMALL.to_vec();
    settings.extend(["prior.kind=mixture", "train.epochs=1", "loss.second_stage=0"]);
    succeed(place.experiment("demo", &settings, &[]));
    let run = place.run_of("demo");
    let (code, printed) = fail(place.command(&["export", run.to_str().unwrap()]));
    assert!(code == 2 && printed.contains("hierarchical"), "{printed}");
    for command in ["import", "export", "compare"] {
        let printed = succeed(place.command(&[command, "--help"]));
        assert!(printed.contains("Examples:"), "{printed}");
    }
}
