//! A user's own folder: formats, defects of the data, and what is said of them.

mod common;

use common::{Place, fail, json, succeed};
use image::{GrayImage, Luma, Rgb, RgbImage};
use std::path::{Path, PathBuf};

const SETTINGS: &[&str] = &[
    "data.root=photos",
    "data.img_size=64",
    "data.mask_size=64",
    "backbone.kind=scattering",
    "backbone.taps=[8]",
    "backbone.pyramid=1",
    "flow.blocks=2",
    "flow.condition=8",
    "train.epochs=1",
    "train.passes=1",
    "train.batch=4",
    "loss.second_stage=0",
];

fn picture(path: &Path, seed: u32, spot: bool) {
    let image = RgbImage::from_fn(70, 64, |x, y| {
        let v = (x * 7 + y * 3 + seed * 13) % 97;
        let hit = spot && (30..40).contains(&x) && (20..30).contains(&y);
        if hit { Rgb([250, 30, 30]) } else { Rgb([v as u8 + 60, 100, 120]) }
    });
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
}

fn mask(path: &Path, width: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    GrayImage::from_fn(width, 64, |x, y| {
        Luma([if (30..40).contains(&x) && (20..30).contains(&y) { 255 } else { 0 }])
    })
    .save(path)
    .unwrap();
}

/// Two classes in all the formats.
fn photos(place: &Place) -> PathBuf {
    let root = place.path().join("photos");
    let formats = ["png", "jpg", "bmp", "tif", "webp"];
    for class in ["bolt", "nut"] {
        for i in 0..6 {
            let extension = formats[i % formats.len()];
            picture(&root.join(format!("{class}/train/good/{i}.{extension}")), i as u32, false);
        }
        for i in 0..3 {
            picture(&root.join(format!("{class}/test/good/{i}.png")), 20 + i, false);
            picture(&root.join(format!("{class}/test/spot/{i}.png")), 30 + i, true);
            mask(&root.join(format!("{class}/ground_truth/spot/{i}_mask.png")), 70);
        }
    }
    root
}

fn run(place: &Place, more: &[&str]) -> std::process::Command {
    place.experiment("hgad-folder", &[SETTINGS, more].concat(), &[])
}

#[test]
fn any_folder_in_the_layout() {
    let place = Place::new();
    let root = photos(&place);
    let printed = succeed(run(&place, &[]));
    assert!(printed.contains("bolt") && printed.contains("nut"), "{printed}");
    let results = json(&place.run_of("hgad-folder").join("results.json"));
    let count = |key: &str| results[key].as_u64().unwrap();
    // Of so few images half calibrate the scores.
    assert_eq!((count("train_images"), count("held_out_images"), count("test_images")), (6, 6, 12));

    // A changed image is seen: its features are made again, and only its.
    picture(&root.join("bolt/train/good/0.png"), 77, false);
    let printed = succeed(run(&place, &[]));
    assert!(printed.contains("features of 1 images"), "{printed}");
    let printed = succeed(place.command(&["cache", "list"]));
    // Both classes hold the same 12 pictures, and the same content is kept once.
    assert!(printed.contains("scattering at 64 px") && printed.contains("13 images"), "{printed}");
    succeed(place.command(&["cache", "clear"]));
    let printed = succeed(place.command(&["cache", "list"]));
    assert!(printed.starts_with("0 extractor"), "{printed}");
}

#[test]
fn an_unreadable_image_stops_before_training_or_is_left_out() {
    let place = Place::new();
    let root = photos(&place);
    let bad = root.join("nut/train/good/0.png");
    let bytes = std::fs::read(&bad).unwrap();
    std::fs::write(&bad, &bytes[..bytes.len() / 2]).unwrap();
    let (code, printed) = fail(run(&place, &[]));
    assert_eq!(code, 2);
    for part in ["nut/train/good/0.png", "corrupt or truncated", "data.skip_unreadable=true"] {
        assert!(printed.contains(part), "{part} in:\n{printed}");
    }
    assert!(!place.path().join("runs").exists(), "a run folder was left behind");
    let printed = succeed(run(&place, &["data.skip_unreadable=true"]));
    assert!(printed.contains("left out"), "{printed}");
    // What the first run had computed was kept: only the broken image is tried again.
    assert!(printed.contains("features of 1 images"), "{printed}");
    let results = json(&place.run_of("hgad-folder").join("results.json"));
    let count = |key: &str| results[key].as_u64().unwrap();
    assert_eq!(count("train_images") + count("held_out_images"), 11);
}

#[test]
fn masks_and_classes_that_do_not_fit() {
    let place = Place::new();
    let root = photos(&place);
    mask(&root.join("nut/ground_truth/spot/1_mask.png"), 90);
    let (code, printed) = fail(run(&place, &[]));
    assert_eq!(code, 2);
    assert!(printed.contains("1_mask.png") && printed.contains("90x64"), "{printed}");
    mask(&root.join("nut/ground_truth/spot/1_mask.png"), 70);

    // No anomalies: metrics are undefined, said, and left out of the mean.
    std::fs::remove_dir_all(root.join("nut/test/spot")).unwrap();
    let printed = succeed(run(&place, &[]));
    assert!(
        printed.contains("undef.") && printed.contains("none of the 3 labels is anomalous"),
        "{printed}"
    );
    let results = json(&place.run_of("hgad-folder").join("results.json"));
    assert!(results["classes"]["nut"]["image_auroc"].is_null());
    assert_eq!(results["mean"]["image_auroc"], results["classes"]["bolt"]["image_auroc"]);

    std::fs::remove_dir_all(root.join("bolt/train/good")).unwrap();
    std::fs::create_dir_all(root.join("bolt/train/good")).unwrap();
    let (code, printed) = fail(run(&place, &[]));
    assert_eq!(code, 2);
    assert!(printed.contains("bolt") && printed.contains("no training images"), "{printed}");
}
