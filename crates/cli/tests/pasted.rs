//! Settings judged by synthetic anomalies on held-out images, and what is written of them.

mod common;

use common::{Place, SMALL, succeed};
use serde_json::Value;
use std::path::Path;

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push(path),
        }
    }
    all
}

#[test]
fn the_test_images_are_not_looked_at() {
    let place = Place::new();
    let photos = place.path().join("photos");
    succeed(place.command(&["datasets", "synthesize", photos.to_str().unwrap()]));
    for class in ["board", "capsule", "fabric", "gear", "leather", "wood"] {
        for part in ["test", "ground_truth"] {
            for path in files(&photos.join(class).join(part)) {
                std::fs::write(path, "not an image").unwrap();
            }
        }
    }
    let root = format!("data.root={}", photos.display());
    let own = ["data.set=folder", root.as_str(), "eval.on=pasted", "eval.copies=2"];
    let settings: Vec<&str> = SMALL.iter().copied().filter(|s| !s.contains("synthetic")).collect();
    let printed = succeed(place.experiment("demo", &[&settings[..], &own].concat(), &[]));
    assert!(printed.contains("pasted images"), "{printed}");
    assert!(printed.contains("best pass on held-out images and pasted anomalies"), "{printed}");
    let run = place.run_of("demo");
    let results: Value =
        serde_json::from_slice(&std::fs::read(run.join("results.json")).unwrap()).unwrap();
    // Six classes with eight images held out, and two copies of each.
    assert_eq!((&results["held_out_images"], &results["test_images"]), (&48.into(), &144.into()));
    let auroc = results["mean"]["image_auroc"].as_f64().unwrap();
    assert!(auroc > 0.55, "{auroc}");

    // The same settings on the real test images stop, since they cannot be read.
    let (code, printed) =
        common::fail(place.experiment("demo", &[&settings[..], &own[..2]].concat(), &[]));
    assert!(code == 2 && printed.contains("not an image"), "{code} {printed}");
}

#[test]
fn none_are_needed() {
    let place = Place::new();
    let photos = place.path().join("photos");
    succeed(place.command(&["datasets", "synthesize", photos.to_str().unwrap()]));
    for part in ["test", "ground_truth"] {
        std::fs::remove_dir_all(photos.join("gear").join(part)).unwrap();
    }
    let root = format!("data.root={}", photos.display());
    let own = ["data.set=folder", root.as_str()];
    let settings: Vec<&str> = SMALL.iter().copied().filter(|s| !s.contains("synthetic")).collect();
    let test = [&settings[..], &own].concat();
    let (code, printed) = common::fail(place.experiment("demo", &test, &[]));
    assert!(code == 2 && printed.contains("class `gear` has no test images"), "{code} {printed}");
    assert!(printed.contains("`eval.on=pasted` needs none"), "{printed}");

    let pasted = [&test[..], &["eval.on=pasted", "eval.copies=1"]].concat();
    succeed(place.experiment("demo", &pasted, &[]));
    let run = place.run_of("demo");
    let results: Value =
        serde_json::from_slice(&std::fs::read(run.join("results.json")).unwrap()).unwrap();
    assert!(results["classes"]["gear"]["image_auroc"].as_f64().is_some(), "{results}");
}

#[test]
fn anomalies_can_be_looked_at() {
    let place = Place::new();
    let (photos, out) = (place.path().join("photos"), place.path().join("pasted"));
    succeed(place.command(&["datasets", "synthesize", photos.to_str().unwrap()]));
    let mut paste = place.command(&["datasets", "paste", "folder", out.to_str().unwrap()]);
    paste.args(["--root", photos.to_str().unwrap(), "--copies", "1", "--seed", "5"]);
    let printed = succeed(paste);
    assert!(printed.contains("360 anomalous and 360 normal images"), "{printed}");
    for kind in ["cut_paste", "fill", "scratch", "shade", "texture", "warp"] {
        let images = files(&out.join("gear/test").join(kind)).len();
        assert!(images > 0 && files(&out.join("gear/ground_truth").join(kind)).len() == images);
    }
}
