//! `hgad compare` through the program.

mod common;

use common::{Place, SMALL, fail, succeed};
use hgad_experiment::{Evaluation, Metrics, Results, SCHEMA, Seconds, Versions, compose};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Results on a data set, image AUROC of each class as given, pixel AUROC 0.9.
fn results(
    place: &Place,
    file: &str,
    experiment: &str,
    set: &[&str],
    classes: &[(&str, f64)],
) -> PathBuf {
    let set: Vec<String> = set.iter().map(|s| s.to_string()).collect();
    let metrics =
        |v: f64| Metrics { image_auroc: Some(v), pixel_auroc: Some(0.9), ..Metrics::default() };
    let all = |add: f64| -> BTreeMap<String, Metrics> {
        classes.iter().map(|(n, v)| (n.to_string(), metrics(v + add))).collect()
    };
    let last = Evaluation::new(200, all(0.0));
    let results = Results {
        schema: SCHEMA,
        name: experiment.into(),
        id: "20260101-000000-s0".into(),
        versions: Versions::here(),
        seconds: Seconds::default(),
        train_images: 1,
        test_images: 1,
        held_out_images: 0,
        deployed: None,
        parameters: 1,
        passes: 200,
        mean: last.mean,
        classes: last.classes,
        class_accuracy: None,
        best_on_test: Evaluation::new(150, all(0.01)),
        settings: compose(experiment, &set).unwrap(),
    };
    let path = place.path().join(file);
    std::fs::write(&path, serde_json::to_vec(&results).unwrap()).unwrap();
    path
}

const BTAD: [(&str, f64); 3] = [("01", 0.99), ("02", 0.9), ("03", 0.96)];

/// The cells of the line that begins with `name`.
fn line<'a>(printed: &'a str, name: &str) -> Vec<&'a str> {
    let found = printed.lines().find(|l| l.starts_with(name));
    let rest = found.unwrap_or_else(|| panic!("no line {name} in:\n{printed}")).strip_prefix(name);
    rest.unwrap().split_whitespace().collect()
}

#[test]
fn runs_stand_beside_what_is_published() {
    let place = Place::new();
    let same = results(&place, "same.json", "hgad-btad", &["seed=5", "run.dir=x"], &BTAD);
    let small = ["data.img_size=256", "flow.blocks=8", "train.epochs=3"];
    let other = results(&place, "other.json", "hgad-btad", &small, &BTAD);
    let (same, other) = (same.to_str().unwrap(), other.to_str().unwrap());

    let printed = succeed(place.command(&["compare", same]));
    assert!(
        printed.contains("All settings are the published ones") && !printed.contains('*'),
        "{printed}"
    );
    assert!(printed.contains("tf_efficientnet_b6") && printed.contains("1024 px"), "{printed}");
    assert!(printed.contains("best pass on the test set"), "{printed}");
    assert_eq!(line(&printed, "02"), ["0.859", "0.973", "0.9000", "0.9000", "+0.0410", "-0.0730"]);
    // (0.99 + 0.9 + 0.96) / 3, and 0.01 more in its best pass, to 0.949.
    assert_eq!(
        line(&printed, "mean, last pass"),
        ["-", "-", "0.9500", "0.9000", "+0.0010", "-0.0800"]
    );
    assert_eq!(
        line(&printed, "mean, best on test"),
        ["0.949", "0.980", "0.9600", "0.9000", "+0.0110", "-0.0800"]
    );

    let printed = succeed(place.command(&["compare", same, other]));
    assert!(printed.contains("[1] I") && printed.contains("[2]* I"), "{printed}");
    assert_eq!(line(&printed, "data.img_size"), ["1024", "1024", "256", "*"]);
    assert_eq!(line(&printed, "flow.blocks"), ["12", "12", "8", "*"]);
    assert_eq!(line(&printed, "train.epochs"), ["25", "25", "3", "*"]);
    for absent in ["seed ", "run.dir", "train.rate ", "data.set"] {
        assert!(!printed.lines().any(|l| l.starts_with(absent)), "{absent}:\n{printed}");
    }

    let printed = succeed(place.command(&["compare", same, other, "--markdown"]));
    assert!(printed.contains("| 01 | 1.000 | 0.976 | 0.9900 |"), "{printed}");
    let printed = succeed(place.command(&["compare", same, other, "--json"]));
    let json: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(json["published"]["classes"]["01"]["pixel_auroc"], 0.976);
    assert_eq!(
        (&json["runs"][0]["differs"], &json["runs"][1]["differs"]),
        (&false.into(), &true.into())
    );
    assert_eq!(json["differences"].as_array().unwrap().len(), 3);
}

#[test]
fn some_classes_and_other_methods() {
    let place = Place::new();
    let classes = [("bottle", 0.99), ("grid", 0.8), ("pcb", 0.7)];
    let file = results(&place, "mine.json", "hgad-folder", &[], &classes);
    let file = file.to_str().unwrap();
    let printed = succeed(place.command(&["compare", file]));
    assert!(printed.contains("Nothing is published"), "{printed}");
    assert_eq!(line(&printed, "bottle"), ["0.9900", "0.9000"]);
    let printed = succeed(place.command(&["compare", file, "--published", "mvtec"]));
    assert_eq!(line(&printed, "VQ-Flow, mean")[..2], ["0.995", "0.983"]);
    assert_eq!(line(&printed, "Dinomaly, mean")[..2], ["0.996", "0.984"]);
    assert_eq!(line(&printed, "pcb"), ["-", "-", "0.7000", "0.9000", "-", "-"]);
    // Published over bottle and grid: (1.000 + 0.997) / 2.
    assert!(printed.contains("0.9985"), "{printed}");
    let (code, printed) = fail(place.command(&["compare", file, "--published", "btad"]));
    assert!(code == 2 && printed.contains("no class of `btad`"), "{printed}");
    let (code, printed) = fail(place.command(&["compare", file, "--published", "folder"]));
    assert!(code == 2 && printed.contains("no published numbers"), "{printed}");
}

#[test]
fn what_cannot_be_compared_is_told() {
    let place = Place::new();
    let btad = results(&place, "btad.json", "hgad-btad", &[], &BTAD);
    let visa = results(&place, "visa.json", "hgad-visa", &[], &[("candle", 0.9)]);
    let refused = |args: &[&str], parts: &[&str]| {
        let (code, printed) = fail(place.command(&[&["compare"], args].concat()));
        assert_eq!(code, 2, "{printed}");
        parts.iter().for_each(|p| assert!(printed.contains(p), "`{p}` in:\n{printed}"));
    };
    let (btad, visa) = (btad.to_str().unwrap(), visa.to_str().unwrap());
    refused(&[btad, visa], &["visa.json", "`visa`", "`btad`", "one data set"]);
    refused(&["nowhere"], &["nowhere", "runs/NAME/ID"]);
    refused(&["."], &["no run here"]);
    refused(&[], &["RUN"]);
    std::fs::write(place.path().join("text.json"), "{}").unwrap();
    refused(&["text.json"], &["text.json", "results.json"]);

    // A folder of runs: the newest that is finished.
    succeed(place.experiment(
        "demo",
        SMALL,
        &["--set", "train.epochs=1", "--set", "maps.per_class=0"],
    ));
    let finished = place.run_of("demo");
    let stopped = finished.with_file_name("99990101-000000-s0");
    std::fs::create_dir(&stopped).unwrap();
    std::fs::copy(finished.join("config.toml"), stopped.join("config.toml")).unwrap();
    let printed = succeed(place.command(&["compare", "runs/demo"]));
    assert!(printed.contains(finished.file_name().unwrap().to_str().unwrap()), "{printed}");
    refused(&[stopped.to_str().unwrap()], &["not finished", "--resume"]);
    std::fs::remove_dir_all(&finished).unwrap();
    refused(&["runs/demo"], &["none of the 1 runs", "--resume"]);
}

#[test]
fn auroc_is_drawn_against_seconds_of_training() {
    let place = Place::new();
    // Two runs of one experiment make one curve; passes of one run are points of it.
    let with_seconds = |folder: &str, experiment: &str, seconds: f64, auroc: f64| {
        std::fs::create_dir(place.path().join(folder)).unwrap();
        let file = format!("{folder}/results.json");
        let path = results(&place, &file, experiment, &[], &[("01", auroc)]);
        let mut all: Results = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        all.seconds.training = seconds;
        std::fs::write(&path, serde_json::to_vec(&all).unwrap()).unwrap();
        path
    };
    let short = with_seconds("a", "hgad-plus-btad", 10.0, 0.85);
    let long = with_seconds("b", "hgad-plus-btad", 300.0, 0.9);
    let passes = with_seconds("c", "hgad-btad", 900.0, 0.8);
    let mut log = String::new();
    for (pass, auroc) in [(1, Some(0.6)), (2, None), (3, Some(0.7)), (200, Some(0.8))] {
        let record = hgad_experiment::metrics_log::PassRecord {
            epoch: pass,
            pass,
            passes: 200,
            rate: 1e-3,
            loss: 1.0,
            terms: Vec::new(),
            seconds: 4.0,
            images: 1,
            memory: None,
            image_auroc: auroc,
            pixel_auroc: auroc,
        };
        log += &(serde_json::to_string(&record).unwrap() + "\n");
    }
    std::fs::write(passes.with_file_name("metrics.jsonl"), log).unwrap();
    let paths = vec![short.clone(), passes.clone(), long.clone()];
    let curves = hgad_experiment::compare::curve::curves(&paths).unwrap();
    assert_eq!(
        curves.iter().map(|c| c.name.as_str()).collect::<Vec<_>>(),
        ["hgad-plus-btad", "hgad-btad"]
    );
    let points = |i: usize| -> Vec<(f64, Option<f64>)> {
        curves[i].points.iter().map(|p| (p.seconds, p.auroc[0])).collect()
    };
    assert_eq!(points(0), [(10.0, Some(0.85)), (300.0, Some(0.9))]);
    assert_eq!(points(1), [(4.0, Some(0.6)), (12.0, Some(0.7)), (900.0, Some(0.8))]);

    let figure = place.path().join("auroc.svg");
    let [a, b, c] = [&short, &long, &passes].map(|p| p.to_str().unwrap());
    succeed(place.command(&["compare", a, b, c, "--curve", figure.to_str().unwrap()]));
    let svg = std::fs::read_to_string(&figure).unwrap();
    // Five points in each of two panels, and one in the legend of each curve.
    assert_eq!(svg.matches("<circle").count(), 12, "{svg}");
    for text in ["hgad-plus-btad", "image AUROC", "pixel AUROC", "seconds of training", "100"] {
        assert!(svg.contains(text), "{text}: {svg}");
    }
    // Below a file there is no folder.
    let nowhere = figure.join("again.svg");
    let error = fail(place.command(&["compare", a, "--curve", nowhere.to_str().unwrap()]));
    assert!(error.1.contains("auroc.svg"), "{}", error.1);
}
