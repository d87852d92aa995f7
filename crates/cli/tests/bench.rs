//! `hgad bench`: the shape of what it prints, not the times.

mod common;

use common::{Place, fail, succeed};

#[test]
fn json_has_name_median_and_unit() {
    let place = Place::new();
    let args = ["-q", "bench", "flow", "--case", "D112_N2048/forward", "--json", "--seconds", "0"];
    let printed: serde_json::Value = serde_json::from_str(&succeed(place.command(&args))).unwrap();
    let cases = printed["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 1, "{printed}");
    assert_eq!(cases[0]["name"], "flow/D112_N2048/forward");
    assert_eq!(cases[0]["unit"], "µs a vector");
    assert!(cases[0]["median"].as_f64().unwrap() > 0.0, "{printed}");
    assert!(printed["versions"]["threads"].as_u64().unwrap() > 0, "{printed}");
}

#[test]
fn a_table_has_a_line_a_case() {
    let place = Place::new();
    let images = place.path().join("images");
    std::fs::create_dir(&images).unwrap();
    image::RgbImage::new(64, 48).save(images.join("a.png")).unwrap();
    let images = images.to_str().unwrap();
    let args = ["-q", "bench", "load", "--case", "png", "--seconds", "0", "--images", images];
    let printed = succeed(place.command(&args));
    let names: Vec<&str> = printed.lines().filter_map(|l| l.split_whitespace().next()).collect();
    assert_eq!(names, ["load/png/image", "load/png/decoder"], "{printed}");
}

#[test]
fn wrong_names_are_told_with_the_right_ones() {
    let place = Place::new();
    for (args, words) in [
        (&["bench", "flows"][..], ["flows", "backbone"]),
        (&["bench", "flow", "--device", "cuda"][..], ["flow", "step"]),
        (&["bench", "step", "--matmul", "f64"][..], ["train.matmul", "tf32"]),
        (&["bench", "flow", "--case", "D300"][..], ["D300", "flow/D200_N8192/train_step"]),
        (&["bench", "load", "--case", "jpeg", "--images", "."][..], ["jpeg", "--images"]),
    ] {
        let (code, printed) = fail(place.command(args));
        assert_eq!(code, 2, "{printed}");
        words.iter().for_each(|w| assert!(printed.contains(w), "`{w}` in {printed}"));
    }
}
