//! Prediction through the program.

mod common;

use common::{Place, SMALL, fail, succeed, text};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A place with a tiny trained model, and the synthetic set as files in `photos`.
fn trained() -> (Place, String) {
    let place = Place::new();
    succeed(place.experiment("demo", SMALL, &["--quiet"]));
    succeed(place.command(&["datasets", "synthesize", "photos"]));
    let model = place.run_of("demo").join("model.safetensors");
    // The file is all that is needed: neither the run's folder nor its features.
    let alone = place.path().join("model.safetensors");
    std::fs::rename(model, &alone).unwrap();
    std::fs::remove_dir_all(place.path().join("runs")).unwrap();
    std::fs::remove_dir_all(place.path().join("cache")).unwrap();
    (place, alone.to_string_lossy().into_owned())
}

fn rows(folder: &Path) -> Vec<Value> {
    let lines = std::fs::read_to_string(folder.join("predictions.jsonl")).unwrap();
    lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    all.sort();
    all
}

#[test]
fn folders_globs_lists_and_what_is_written() {
    let (place, model) = trained();
    let out = place.path().join("out");
    let printed = succeed(place.command(&[
        "predict",
        &model,
        "photos/board/test/good",
        "photos/gear/test/*/000.png",
        "--class-from-folder",
        "--out",
        "out",
        "--overlays",
        "--maps",
        "png,npy",
    ]));
    assert!(printed.contains("images/s"), "{printed}");
    let boards = files(&place.path().join("photos/board/test/good")).len();
    let all = rows(&out);
    assert!(all.len() > boards && boards > 0);
    for (i, row) in all.iter().enumerate() {
        let class = if i < boards { "board" } else { "gear" };
        assert_eq!(row["class"], class);
        assert!(row["path"].as_str().unwrap().contains(class));
        let (score, threshold) =
            (row["score"].as_f64().unwrap(), row["threshold"].as_f64().unwrap());
        assert!((0.0..=1.0).contains(&score));
        assert_eq!(row["verdict"] == "anomalous", score > threshold, "{row}");
        for region in row["regions"].as_array().unwrap() {
            let end = region["x"].as_u64().unwrap() + region["width"].as_u64().unwrap();
            assert!(end <= 256 && region["peak"].as_f64().unwrap() > 0.5, "{region}");
        }
        assert!(out.join(row["overlay"].as_str().unwrap()).is_file());
        let [png, npy] = [0, 1].map(|m| out.join(row["maps"][m].as_str().unwrap()));
        let grey = image::open(png).unwrap().into_luma16();
        let bytes = std::fs::read(npy).unwrap();
        let header = 10 + u16::from_le_bytes([bytes[8], bytes[9]]) as usize;
        let values: Vec<f32> = bytes[header..]
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        assert_eq!(values.len(), 64 * 64);
        let close = |(g, v): (&u16, &f32)| (f32::from(*g) / 65535.0 - v).abs() < 1e-4;
        assert!(grey.as_raw().iter().zip(&values).all(close));
    }
    let csv = std::fs::read_to_string(out.join("predictions.csv")).unwrap();
    assert!(csv.starts_with("path,class,score,threshold,verdict,regions,"), "{csv}");
    assert_eq!(csv.lines().count(), all.len() + 1);

    // The same from a list on standard input, the class inferred.
    let mut child = place
        .command(&["predict", &model, "-", "--out", "listed", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let list: Vec<String> = all.iter().map(|r| r["path"].as_str().unwrap().to_string()).collect();
    child.stdin.take().unwrap().write_all(list.join("\n").as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let listed = rows(&place.path().join("listed"));
    assert_eq!(listed.len(), all.len());
    assert!(listed.iter().zip(&all).all(|(a, b)| a["path"] == b["path"]));
    let sum = |r: &Value| {
        r["class_probabilities"]
            .as_object()
            .unwrap()
            .values()
            .map(|v| v.as_f64().unwrap())
            .sum::<f64>()
    };
    assert!(listed.iter().all(|r| (sum(r) - 1.0).abs() < 1e-6));
}

#[test]
fn exit_codes_and_a_broken_image() {
    let (place, model) = trained();
    let folder = "photos/wood/test/good";
    let predict = |more: &[&str]| {
        place.command(&[&["predict", &model, folder, "--class", "wood"], more].concat())
    };
    // Nearly every normal image is called anomalous, where nine of ten may be.
    let strict = ["--false-alarm-rate", "0.9", "--fail-on-anomaly", "--out", "strict"];
    let (code, printed) = fail(predict(&strict));
    assert_eq!(code, 3, "{printed}");
    let anomalous = |out: &str| {
        rows(&place.path().join(out)).iter().filter(|r| r["verdict"] == "anomalous").count()
    };
    succeed(predict(&["--false-alarm-rate", "0.2", "--out", "usual"]));
    assert!(anomalous("strict") > anomalous("usual"));

    // One file that is no image is told, and the rest goes on.
    std::fs::write(place.path().join(folder).join("000_broken.png"), "no image").unwrap();
    let good = files(&place.path().join(folder)).len() - 1;
    let output = predict(&["--out", "out"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("000_broken.png"), "{}", text(&output));
    let all = rows(&place.path().join("out"));
    assert_eq!(all.iter().filter(|r| r["error"].is_string()).count(), 1);
    assert_eq!(all.iter().filter(|r| r["verdict"].is_string()).count(), good);

    // Mistakes.
    for (arguments, word) in [
        (vec!["predict", &model, folder, "--class", "bolt"], "board"),
        (vec!["predict", &model, "photos/nothing/*.png"], "photos/nothing"),
        (vec!["predict", &model, "photos", "--false-alarm-rate", "2"], "between 0 and 1"),
        (vec!["predict", &model, "photos", "--overlays"], "--out"),
    ] {
        let (code, printed) = fail(place.command(&arguments));
        assert_eq!(code, 2, "{printed}");
        assert!(printed.contains(word), "{word} in {printed}");
    }
}

#[test]
fn a_model_without_the_backbones_weights_or_of_another_run() {
    let place = Place::new();
    let (code, printed) = fail(place.command(&["predict", "no.safetensors", "x.png"]));
    assert_eq!(code, 1, "{printed}");
    std::fs::write(place.path().join("no.safetensors"), "no model").unwrap();
    let (code, printed) = fail(place.command(&["predict", "no.safetensors", "x.png"]));
    assert_eq!(code, 2, "{printed}");
    assert!(printed.contains("no.safetensors"), "{printed}");
}

#[test]
fn images_of_a_product_it_was_not_trained_on_are_none_of_them() {
    let place = Place::new();
    succeed(place.command(&["datasets", "synthesize", "photos"]));
    // As likely under its nearest class as that class's own images are, but not decidedly of it.
    std::fs::rename(place.path().join("photos/capsule"), place.path().join("stranger")).unwrap();
    let own = ["data.root=photos", "backbone.kind=scattering", "train.rate=5e-3", "train.epochs=6"];
    let more = ["eval.every=0", "report.enabled=false", "maps.per_class=0"];
    let settings = [SMALL, &own, &more].concat();
    succeed(place.experiment("hgad-folder", &settings, &["--quiet"]));
    let model = place.run_of("hgad-folder");
    let model = model.to_str().unwrap();
    let look = |paths: &[&str]| -> Vec<Value> {
        let command = [&["predict", model, "--out", "out", "--quiet"], paths].concat();
        succeed(place.command(&command));
        rows(&place.path().join("out"))
    };
    let none = |rows: &[Value]| rows.iter().filter(|r| r["class"].is_null()).count();
    let strangers = look(&["stranger/test"]);
    assert_eq!(none(&strangers), strangers.len(), "of {}", strangers.len());
    assert!(strangers.iter().all(|r| r["verdict"] == "anomalous"));
    let known = look(&["photos/*/test/good"]);
    assert_eq!(known.len(), 80);
    assert!(none(&known) <= 8, "{} of 80 known ones are none of them", none(&known));
    // Whoever says which product it is gets the verdict of that class.
    let said = look(&["stranger/test", "--class", "gear"]);
    assert!(said.iter().all(|r| r["class"] == "gear"));
}
