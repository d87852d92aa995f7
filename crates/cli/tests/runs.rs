//! `hgad runs` through the program.

mod common;

use common::{Going, Place, SMALL, fail, json, succeed};
use serde_json::Value;
use std::path::Path;

fn listed(place: &Place, args: &[&str]) -> Vec<Value> {
    let all = [&["runs", "--json"], args].concat();
    let output = place.command(&all).output().unwrap();
    assert!(output.status.success(), "{}", common::text(&output));
    serde_json::from_slice::<Value>(&output.stdout).unwrap().as_array().unwrap().clone()
}

fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap());
    entries
        .map(|e| match e.metadata().unwrap() {
            m if m.is_dir() => bytes(&e.path()),
            m => m.len(),
        })
        .sum()
}

#[test]
fn what_is_finished_with_its_numbers() {
    let place = Place::new();
    let printed = succeed(place.command(&["runs"]));
    assert!(
        printed.contains("no runs in runs") && printed.contains("hgad experiment"),
        "{printed}"
    );
    assert!(listed(&place, &[]).is_empty());
    for seed in ["seed=0", "seed=1"] {
        succeed(place.experiment("demo", &[SMALL, &[seed]].concat(), &["-q"]));
    }
    succeed(place.experiment("demo", &[SMALL, &["prior.kind=single", "name=plain"]].concat(), &[]));
    // An ablation's are two folders further down, and its own results are no run.
    let mut c = place.command(&["ablation", "priors", "--base", "demo", "--seeds", "3"]);
    c.args(["--only", "mixture"]);
    SMALL.iter().filter(|s| !s.starts_with("eval.every")).for_each(|s| {
        c.args(["--set", s]);
    });
    succeed(c);

    let all = listed(&place, &[]);
    let of = |key: &str| -> Vec<Value> { all.iter().map(|r| r[key].clone()).collect() };
    assert_eq!(of("name"), ["demo", "demo", "plain", "ablation-priors/mixture"]);
    assert_eq!(of("seed"), [0, 1, 0, 3]);
    assert_eq!(of("prior"), ["hierarchical", "hierarchical", "single", "mixture"]);
    for run in &all {
        let path = place.path().join(run["path"].as_str().unwrap());
        let results = json(&path.join("results.json"));
        assert_eq!(run["state"], "finished");
        assert_eq!((&run["id"], &run["name"]), (&results["id"], &results["name"]));
        assert_eq!(run["classes"], 6);
        for metric in ["image_auroc", "pixel_auroc", "aupro"] {
            assert!(run[metric].is_number());
            assert_eq!(run[metric], results["mean"][metric], "{metric}");
        }
        assert_eq!(run["seconds"], results["seconds"]["total"]);
        assert_eq!(run["bytes"], bytes(&path));
    }
    let printed = succeed(place.command(&["runs"]));
    assert_eq!(printed.lines().count(), 1 + 4 + 2, "{printed}");
    let first = &all[0];
    let line = printed.lines().nth(1).unwrap();
    for part in [
        "demo".to_string(),
        first["id"].as_str().unwrap().into(),
        "finished".into(),
        "hierarchical".into(),
        format!("{:.4}", first["image_auroc"].as_f64().unwrap()),
        format!("{:.4}", first["pixel_auroc"].as_f64().unwrap()),
        format!("{:.4}", first["aupro"].as_f64().unwrap()),
    ] {
        assert!(line.contains(&part), "{part} in {line}");
    }
    assert!(printed.contains("4 runs in runs: 4 finished"), "{printed}");

    // The best last, and the other way round; by name; below a folder; a run itself.
    let by_image = |args: &[&str]| -> Vec<f64> {
        listed(&place, args).iter().map(|r| r["image_auroc"].as_f64().unwrap()).collect()
    };
    let mut sorted = by_image(&[]);
    sorted.sort_by(f64::total_cmp);
    assert_eq!(by_image(&["--sort", "image"]), sorted);
    sorted.reverse();
    assert_eq!(by_image(&["--sort", "image", "--reverse"]), sorted);
    assert_eq!(listed(&place, &["--name", "plain"]).len(), 1);
    assert_eq!(listed(&place, &["--name", "nothing"]).len(), 0);
    assert_eq!(listed(&place, &["runs/ablation-priors"]).len(), 1);
    assert_eq!(listed(&place, &[first["path"].as_str().unwrap()]).len(), 1);
    let (code, printed) = fail(place.command(&["runs", "elsewhere"]));
    assert!(code == 2 && printed.contains("elsewhere"), "{printed}");
    let (code, printed) = fail(place.command(&["runs", "--sort", "size-of-it"]));
    assert!(code == 2 && printed.contains("pixel"), "{printed}");
}

#[test]
fn what_runs_and_what_was_stopped() {
    let place = Place::new();
    let mut settings = SMALL.to_vec();
    settings.extend(["train.epochs=4000", "train.checkpoint_seconds=0", "eval.every=2"]);
    let going = Going::start(&place, "demo", place.experiment("demo", &settings, &[]), 3);
    let run = &listed(&place, &[])[0];
    assert_eq!((&run["state"], &run["passes"]), (&"running".into(), &4000.into()));
    assert!(run["pass"].as_u64().unwrap() >= 3, "{run}");
    assert!(run["image_auroc"].is_number() && run["aupro"].is_null(), "{run}");
    let printed = succeed(place.command(&["runs"]));
    assert!(printed.contains("running, pass ") && printed.contains("1 running"), "{printed}");
    // Two processes cannot train one run.
    let (code, printed) = fail(place.experiment("demo", &settings, &["--resume"]));
    assert!(code == 2 && printed.contains("another process"), "{printed}");

    let folder = going.kill();
    let passes = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap().lines().count();
    let run = &listed(&place, &[])[0];
    assert_eq!((&run["state"], &run["passes"]), (&"stopped".into(), &4000.into()));
    assert_eq!(run["pass"], passes);
    assert!(run["seconds"].as_f64().unwrap() > 0.0 && run["classes"].is_null(), "{run}");
    let printed = succeed(place.command(&["runs"]));
    assert!(printed.contains(&format!("stopped at pass {passes} of 4000")), "{printed}");
}

#[test]
fn imported_and_broken_ones() {
    let place = Place::new();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiment/tests");
    let file = tests.join("fixtures/published.pt").canonicalize().unwrap();
    let mut c = place.command(&["import", file.to_str().unwrap(), "--experiment", "demo"]);
    SMALL.iter().filter(|s| !s.starts_with("flow.")).for_each(|s| {
        c.args(["--set", s]);
    });
    c.args(["--set", "backbone.pyramid=2", "--out", "runs/authors"]);
    succeed(c);
    succeed(place.experiment("demo", SMALL, &[]));
    let runs = place.path().join("runs");
    let good = place.run_of("demo");
    let put = |name: &str, file: &str, content: &str| {
        let folder = runs.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(file), content).unwrap();
    };
    let config = std::fs::read_to_string(good.join("config.toml")).unwrap();
    put("bad/20200101-000001-s0", "config.toml", "name = [");
    put("bad/20200101-000002-s0", "config.toml", &config);
    put("bad/20200101-000002-s0", "results.json", "{\"mean\":");
    put("bad/20200101-000003-s0", "metrics.jsonl", "");
    std::fs::create_dir_all(runs.join("bad/20200101-000004-s0")).unwrap();
    put("notes", "readme.txt", "no run");
    // A run of another version, with settings that this one does not know.
    put("old/20200101-000005-s0", "config.toml", &format!("novelty = 3\n{config}"));

    let all = listed(&place, &["--sort", "started"]);
    let of = |id: &str| all.iter().find(|r| r["id"] == id).unwrap_or_else(|| panic!("{id}"));
    assert_eq!(all.len(), 7, "{all:?}");
    assert_eq!(
        (&of("authors")["state"], &of("authors")["imported"]),
        (&"imported".into(), &true.into())
    );
    assert_eq!(of(good.file_name().unwrap().to_str().unwrap())["state"], "finished");
    assert_eq!(of("20200101-000005-s0")["state"], "stopped");
    for (id, reason) in [
        ("20200101-000001-s0", "config.toml"),
        ("20200101-000002-s0", "results.json"),
        ("20200101-000003-s0", "no config.toml"),
        ("20200101-000004-s0", "no config.toml"),
    ] {
        assert_eq!(of(id)["state"], "broken", "{id}");
        assert!(of(id)["reason"].as_str().unwrap().contains(reason), "{}", of(id));
    }
    let printed = succeed(place.command(&["runs"]));
    for part in ["imported, not evaluated", "4 broken", "1 imported", "1 stopped", "1 finished"] {
        assert!(printed.contains(part), "{part} in:\n{printed}");
    }
    assert!(printed.contains("runs/bad/20200101-000001-s0: config.toml"), "{printed}");
}
