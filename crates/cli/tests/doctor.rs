//! `hgad doctor` through the program.

mod common;

use common::Place;
use serde_json::Value;
use std::process::Command;

fn doctor(place: &Place, args: &[&str]) -> Command {
    let mut c = place.command(&["doctor"]);
    c.args(args).env("HF_HOME", place.path().join("hf"));
    for name in ["HGAD_ISA", "HGAD_LOG", "HGAD_TOKEN", "RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
        c.env_remove(name);
    }
    c
}

fn said(mut c: Command) -> (Option<i32>, String) {
    let output = c.output().unwrap();
    assert!(output.stderr.is_empty(), "{}", common::text(&output));
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

fn found(mut c: Command) -> (Option<i32>, Value) {
    let output = c.arg("--json").output().unwrap();
    let value = serde_json::from_slice(&output.stdout);
    (output.status.code(), value.unwrap_or_else(|e| panic!("{e}: {}", common::text(&output))))
}

#[test]
fn a_machine_that_is_well() {
    let place = Place::new();
    let (code, text) = said(doctor(&place, &["--threads", "2"]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.ends_with("all is well\n"), "{text}");
    let (code, all) = found(doctor(&place, &["--threads", "2"]));
    assert_eq!((code, &all["fine"]), (Some(0), &Value::Bool(true)));
    assert_eq!(all["problems"], serde_json::json!([]));
    assert_eq!(all["program"]["version"]["value"], env!("CARGO_PKG_VERSION"));
    assert_eq!(all["processor"]["threads"]["value"], 2);
    // Candle's pool is held to the same number.
    assert_eq!(all["environment"]["CANDLE_NUM_THREADS"]["value"], "2");
    assert!(all["processor"]["cores"]["value"].as_u64().unwrap() >= 1);
    let isa = all["processor"]["kernels on"]["value"].as_str().unwrap();
    assert!(["avx512", "avx2", "neon", "baseline"].contains(&isa), "{isa}");
    if cfg!(target_os = "linux") {
        let memory = |what: &str| all["memory"][what]["value"].as_u64().unwrap();
        assert!(memory("available") <= memory("total"));
    }
    for device in ["cpu", "cuda", "metal"] {
        assert!(all["devices"][device]["value"].is_boolean(), "{device}");
    }
    let cache = place.path().join("cache");
    assert_eq!(all["environment"]["HGAD_CACHE"]["value"], cache.to_str().unwrap());
    assert_eq!(all["environment"]["HGAD_ISA"]["value"], Value::Null);
    assert_eq!(all["feature_cache"]["folder"]["value"], cache.to_str().unwrap());
    assert_eq!(all["feature_cache"]["kept"]["value"], 0);
    assert!(all["feature_cache"]["free on its disk"]["value"].as_u64().unwrap() > 0);
    let hub = all["weights"]["Hugging Face cache"]["value"].as_str().unwrap();
    assert!(hub.starts_with(place.path().join("hf").to_str().unwrap()), "{hub}");
    // It looked and left nothing.
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);

    let (code, text) = said(doctor(&place, &["--quiet"]));
    assert_eq!((code, text.as_str()), (Some(0), ""));
}

#[test]
fn what_is_kept_is_counted() {
    let place = Place::new();
    common::succeed(place.experiment("demo", common::SMALL, &["-q"]));
    // Weights as the hub's own programs leave them.
    let snapshot = "hf/hub/models--timm--resnet18.a1_in1k/snapshots/0123456789abcdef";
    let snapshot = place.path().join(snapshot);
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::write(snapshot.join("model.safetensors"), vec![0; 2048]).unwrap();
    let refs = place.path().join("hf/hub/models--timm--resnet18.a1_in1k/refs");
    std::fs::create_dir_all(&refs).unwrap();
    std::fs::write(refs.join("main"), "0123456789abcdef").unwrap();
    let (code, all) = found(doctor(&place, &[]));
    assert_eq!(code, Some(0), "{all:#}");
    let kept = &all["feature_cache"]["kept"];
    assert!(kept["value"].as_u64().unwrap() > 0);
    assert!(kept["found"].as_str().unwrap().contains("of 108 images by 1 extractor"), "{kept}");
    assert_eq!(all["runs"]["kept"]["value"], 1);
    let weights = all["weights"]["resnet18"]["found"].as_str().unwrap();
    assert!(weights.contains("resnet18.a1_in1k") && weights.contains("2.0 KiB"), "{weights}");
}

#[test]
fn matrix_tiles_can_be_left_out() {
    let place = Place::new();
    let mut c = doctor(&place, &[]);
    c.env("HGAD_ISA", "avx512");
    let (code, all) = found(c);
    assert_eq!(code, Some(0), "{all:#}");
    assert_eq!(all["processor"]["matrix tiles"]["value"], Value::Bool(false));
}

#[test]
fn what_is_wrong_has_a_way_out() {
    let place = Place::new();
    std::fs::write(place.path().join("file"), "").unwrap();
    let file = place.path().join("file");
    let mut c = doctor(&place, &["--runs", "file/runs"]);
    c.env("HGAD_CACHE", &file).env("HGAD_ISA", "sse9").env("HGAD_DATA", "nowhere");
    c.env("HGAD_LOG", "a=b=c").env("RAYON_NUM_THREADS", "many");
    let (code, all) = found(c);
    assert_eq!((code, &all["fine"]), (Some(1), &Value::Bool(false)));
    let problems = all["problems"].as_array().unwrap();
    let about: Vec<(&str, &str)> = problems
        .iter()
        .map(|p| (p["section"].as_str().unwrap(), p["what"].as_str().unwrap()))
        .collect();
    assert_eq!(
        about,
        [
            ("processor", "kernels on"),
            ("environment", "HGAD_DATA"),
            ("environment", "HGAD_LOG"),
            ("environment", "RAYON_NUM_THREADS"),
            ("feature_cache", "folder"),
            ("runs", "folder"),
        ]
    );
    for (problem, words) in
        problems.iter().zip(["avx2", "data.root", "debug", "unset", "HGAD_CACHE", "run.dir"])
    {
        assert!(problem["way_out"].as_str().unwrap().contains(words), "{problem}");
    }
    let mut c = doctor(&place, &[]);
    c.env("HGAD_CACHE", &file);
    let (code, text) = said(c);
    assert_eq!(code, Some(1));
    assert!(text.contains("\n! folder") && text.contains("is a file, not a folder"), "{text}");
    assert!(text.contains("→ set HGAD_CACHE") && text.contains("1 thing is wrong"), "{text}");
    let mut c = doctor(&place, &["-q"]);
    c.env("HGAD_CACHE", &file);
    let (code, text) = said(c);
    assert_eq!((code, text.lines().count()), (Some(1), 1), "{text}");
}

#[test]
fn secrets_stay_secret() {
    let place = Place::new();
    let set = |c: &mut Command| {
        c.env("HGAD_TOKEN", "s3cret-t0ken").env("HTTPS_PROXY", "http://me:passw0rd@proxy:3128");
        c.env_remove("https_proxy");
    };
    let mut c = doctor(&place, &[]);
    set(&mut c);
    let (_, text) = said(c);
    let mut c = doctor(&place, &[]);
    set(&mut c);
    let (_, all) = found(c);
    for said in [text, all.to_string()] {
        assert!(!said.contains("s3cret") && !said.contains("passw0rd"), "{said}");
        assert!(said.contains("http://proxy:3128") && said.contains("set, not shown"), "{said}");
    }
}

#[test]
fn data_roots() {
    let place = Place::new();
    let image = image::RgbImage::new(8, 8);
    let put = |path: &str| {
        let path = place.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        image.save(path).unwrap();
    };
    for class in ["bolt", "nut"] {
        for i in 0..3 {
            put(&format!("photos/{class}/train/good/{i}.png"));
        }
        put(&format!("photos/{class}/test/good/0.png"));
        put(&format!("photos/{class}/test/bent/0.png"));
        put(&format!("photos/{class}/ground_truth/bent/0_mask.png"));
    }
    let (code, all) = found(doctor(&place, &["--root", "photos"]));
    assert_eq!(code, Some(0), "{all:#}");
    let photos = &all["data"]["folder in photos"]["value"];
    assert_eq!(photos["set"], "folder");
    assert_eq!(photos["classes"], serde_json::json!(["bolt", "nut"]));
    assert_eq!((&photos["train"], &photos["test_anomalous"]), (&6.into(), &2.into()));

    let (code, text) = said(doctor(&place, &["--root", "nowhere", "--root", "mvtec=photos"]));
    assert_eq!(code, Some(1));
    assert!(text.contains("2 things are wrong"), "{text}");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("! nowhere there is no such folder →"), "{text}");
    let (code, all) = found(doctor(&place, &["--root", "imagenet=photos"]));
    assert_eq!(code, Some(1));
    let problem = all["problems"][0]["problem"].as_str().unwrap();
    assert!(problem.contains("imagenet"), "{problem}");
}
