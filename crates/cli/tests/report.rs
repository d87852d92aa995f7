//! The page of a run, and of several, through the program.

mod common;

use common::{Place, SMALL, fail, json, succeed};
use std::path::Path;

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_run_writes_its_page_and_several_are_compared() {
    let place = Place::new();
    succeed(place.experiment("demo", SMALL, &["--set", "report.vectors=40"]));
    let first = place.run_of("demo");
    let html = read(&first.join("report.html"));
    for id in ["classes", "likelihoods", "curves", "gallery", "latents", "training", "settings"] {
        assert!(html.contains(&format!("<section id=\"{id}\"")), "{id}");
    }
    assert!(!html.contains("http://") && !html.contains("https://"), "nothing is elsewhere");
    let data = json(&first.join("report.json"));
    let results = json(&first.join("results.json"));
    let len = |value: &serde_json::Value| value.as_array().unwrap().len();
    assert_eq!(data["scores"]["mean"]["values"][0], results["mean"]["image_auroc"]);
    assert_eq!(len(&data["training"]["passes"]), 3);
    assert_eq!(data["training"]["second_stage"], 3);
    assert!(results["seconds"]["report"].as_f64().unwrap() > 0.0);
    assert_eq!(len(&data["gallery"]), 6);
    for class in data["gallery"].as_array().unwrap() {
        assert_eq!(len(&class["images"]), 6, "{}", class["class"]);
        let reasons = [0, 1].map(|i| class["images"][i]["reason"].as_str().unwrap());
        assert_eq!(reasons, ["best", "worst"], "{}", class["class"]);
        let fit = |i: usize| class["images"][i]["f1"].as_f64().unwrap();
        assert!(fit(0) >= fit(1));
    }
    for class in data["likelihoods"][0]["classes"].as_array().unwrap() {
        let count = |group: &str| -> u64 {
            class[group].as_array().unwrap().iter().map(|c| c.as_u64().unwrap()).sum()
        };
        // Ten test images of 8 x 8 positions.
        assert_eq!(count("normal") + count("anomalous"), 640, "{}", class["class"]);
        assert!(count("anomalous") > 0, "{}", class["class"]);
    }
    for class in data["latents"][0]["classes"].as_array().unwrap() {
        assert_eq!(len(&class["normal"]) + len(&class["anomalous"]), 40, "{}", class["class"]);
        assert!(class["center"].is_array());
    }
    for curves in data["curves"].as_array().unwrap() {
        for scores in ["image", "pixel"] {
            let roc = curves[scores]["roc"].as_array().unwrap();
            let area: f64 = roc
                .windows(2)
                .map(|p| {
                    let at = |i: usize, j: usize| p[i][j].as_f64().unwrap();
                    (at(1, 0) - at(0, 0)) * (at(0, 1) + at(1, 1)) / 2.0
                })
                .sum();
            let class = curves["class"].as_str().unwrap();
            let auroc = results["classes"][class][format!("{scores}_auroc")].as_f64().unwrap();
            assert!((area - auroc).abs() < 0.01, "{class} {scores}: {area} is not {auroc}");
        }
    }

    // Contours and scores are at the calibrated threshold: what `hgad predict` calls anomalous.
    assert_eq!(len(&data["image_scores"]), 6);
    for scores in data["image_scores"].as_array().unwrap() {
        let class = scores["counts"]["class"].as_str().unwrap();
        let given = &results["deployed"]["classes"][class]["given"];
        assert_eq!(scores["false_alarms"], given["false_alarm_rate"], "{class}");
        assert_eq!(scores["found"], given["detection_rate"], "{class}");
        // Four normal test images and six anomalous ones.
        for (group, images) in [("normal", 4), ("anomalous", 6)] {
            let counts = scores["counts"][group].as_array().unwrap();
            assert_eq!(counts.iter().map(|c| c.as_u64().unwrap()).sum::<u64>(), images, "{class}");
        }
        let of = data["gallery"].as_array().unwrap().iter().find(|g| g["class"] == class).unwrap();
        assert_eq!(of["threshold"], scores["threshold"]);
        assert_eq!(
            (&of["threshold"]["value"], &of["threshold"]["calibrated"]),
            (&0.5.into(), &true.into())
        );
        let origin = of["threshold"]["origin"].as_str().unwrap();
        // Half of eight: too few for 5 %.
        assert!(
            origin.contains("5 % on 4 normal") && origin.contains("promises nothing"),
            "{origin}"
        );
        for image in of["images"].as_array().unwrap() {
            let outlined = !image["contour"].as_array().unwrap().is_empty();
            let score = image["score"].as_f64().unwrap();
            // A pixel that is hardly above has no outline that could be seen.
            assert!(outlined == (score > 0.5) || (score - 0.5).abs() < 1e-3, "{class} {score}");
        }
    }
    assert!(html.contains("the threshold is the calibrated one"));

    // From what is stored the same page comes again.
    std::fs::remove_file(first.join("report.html")).unwrap();
    let text = first.to_str().unwrap();
    succeed(place.command(&["report", text]));
    assert!(html == read(&first.join("report.html")), "another page");

    // A prior without classes, and runs side by side.
    let without = ["--set", "prior.kind=single", "--set", "calibration.share=0"];
    succeed(place.experiment("demo", SMALL, &without));
    let second = place.run_of("demo");
    let second_text = second.to_str().unwrap();
    let data = json(&second.join("report.json"));
    assert_eq!((len(&data["image_scores"]), len(&data["gallery"])), (0, 6));
    let threshold = &data["gallery"][0]["threshold"];
    assert!(
        threshold["calibrated"] == false
            && threshold["origin"].as_str().unwrap().contains("test labels")
    );
    assert!(read(&second.join("report.html")).contains("The run has no calibrated threshold"));
    assert!(read(&second.join("report.html")).contains("one centre for all"));
    let printed = succeed(place.command(&["report", text, second_text, "--out", "both.html"]));
    assert!(printed.contains("both.html"), "{printed}");
    let both = read(&place.path().join("both.html"));
    assert!(both.contains("<th scope=\"row\">prior.kind</th>"), "what differs is told");
    for id in ["means", "classes", "curves", "training", "settings", "gallery"] {
        assert!(both.contains(&format!("<section id=\"{id}\"")), "{id}");
    }
    assert!(both.matches("class=\"panels\"").count() >= 12, "an image a class from each run");
    succeed(place.command(&["report", text, second_text]));
    assert!(place.path().join("comparison.html").is_file());

    // Files that are not what they should be.
    std::fs::write(second.join("report.json"), "{}").unwrap();
    let (code, printed) = fail(place.command(&["report", second_text]));
    assert!(
        code == 2 && printed.contains("report.json") && printed.contains("config.toml"),
        "{printed}"
    );
}

#[test]
fn what_cannot_be_drawn_says_why() {
    let place = Place::new();
    let (code, printed) = fail(place.command(&["report", "nowhere"]));
    assert!(code == 2 && printed.contains("nowhere"), "{printed}");
    assert_eq!(fail(place.command(&["report"])).0, 2);

    let settings =
        [SMALL, &["train.epochs=1", "loss.second_stage=0", "report.enabled=false"]].concat();
    succeed(place.experiment("demo", &settings, &[]));
    let run = place.run_of("demo");
    assert!(run.join("results.json").is_file() && !run.join("report.html").exists());
    let (code, printed) = fail(place.command(&["report", run.to_str().unwrap()]));
    assert!(code == 2 && printed.contains("report.enabled=true"), "{printed}");
    std::fs::remove_file(run.join("results.json")).unwrap();
    let (code, printed) = fail(place.command(&["report", run.to_str().unwrap()]));
    assert!(code == 2 && printed.contains("--resume"), "{printed}");
}

#[test]
fn a_report_of_nothing_optional() {
    let place = Place::new();
    let settings =
        [SMALL, &["train.epochs=1", "loss.second_stage=0", "report.gallery=0", "report.vectors=0"]]
            .concat();
    succeed(place.experiment("demo", &settings, &[]));
    let html = read(&place.run_of("demo").join("report.html"));
    assert!(html.contains("id=\"curves\""));
    assert!(!html.contains("id=\"gallery\"") && !html.contains("id=\"latents\""));
}

#[test]
fn a_page_that_cannot_be_written_costs_no_run() {
    let place = Place::new();
    let settings = [SMALL, &["train.epochs=30", "eval.every=0"]].concat();
    let child = place
        .experiment("demo", &settings, &[])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let started = std::time::Instant::now();
    // A folder of the page's name is in its way.
    while place.newest("demo").is_none() {
        assert!(started.elapsed().as_secs() < 120, "no run was begun in two minutes");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    std::fs::create_dir(place.run_of("demo").join("report.html")).unwrap();
    let output = child.wait_with_output().unwrap();
    let printed = common::text(&output);
    assert!(output.status.success(), "{printed}");
    assert!(
        printed.contains("no report is written") && printed.contains("report.html"),
        "{printed}"
    );
    assert!(place.run_of("demo").join("results.json").is_file());
}
