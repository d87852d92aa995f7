//! What the program says on standard error: lines, a bar, JSON, or nothing.

mod common;

use common::{Place, SMALL, text};
use serde_json::Value;
use std::process::{Command, Output};

fn output(mut c: Command) -> (String, String, Output) {
    let output = c.output().unwrap();
    let of = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
    (of(&output.stdout), of(&output.stderr), output)
}

fn metrics(run: &std::path::Path) -> Vec<Value> {
    let lines = std::fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// Every line as an object.
fn objects(lines: &str) -> Vec<Value> {
    let parse = |l: &str| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {l}"));
    let all: Vec<Value> = lines.lines().map(parse).collect();
    for line in &all {
        for key in ["timestamp", "level", "target", "message"] {
            assert!(line[key].is_string(), "{key} in {line}");
        }
    }
    all
}

fn named<'a>(all: &'a [Value], message: &str) -> Vec<&'a Value> {
    all.iter().filter(|v| v["message"] == message).collect()
}

#[test]
fn piped_it_is_plain_lines_with_every_figure() {
    let place = Place::new();
    let (stdout, stderr, output) = output(place.experiment("demo", SMALL, &[]));
    assert!(output.status.success(), "{stderr}");
    for (stream, what) in [(&stdout, "output"), (&stderr, "error")] {
        let control = stream.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(control, None, "standard {what}:\n{stream:?}");
    }
    let passes: Vec<&str> = stderr.lines().filter(|l| l.starts_with("pass ")).collect();
    assert_eq!(passes.len(), 3, "{stderr}");
    for (line, record) in passes.iter().zip(metrics(&place.run_of("demo"))) {
        let number = |key: &str, unit: &str, digits: usize| {
            let value = match key {
                "speed" => record["images"].as_f64().unwrap() / record["seconds"].as_f64().unwrap(),
                key => record[key].as_f64().unwrap(),
            };
            format!("{value:.digits$}{unit}")
        };
        let epoch = format!("pass {}/3 (epoch {})", record["pass"], record["epoch"]);
        let loss = format!("loss {}", number("loss", "", 3));
        let rate = format!("rate {:.1e}", record["rate"].as_f64().unwrap());
        let speed = number("speed", " images/s", 1);
        let seconds = number("seconds", " s", 1);
        let tested = number("image_auroc", "", 4);
        let mut wanted = vec![epoch, loss, rate, speed, seconds, tested];
        for term in record["terms"].as_array().unwrap() {
            wanted.push(format!("{} {:.3}", term[0].as_str().unwrap(), term[1].as_f64().unwrap()));
        }
        assert!(record["terms"].as_array().unwrap().len() >= 3);
        if cfg!(target_os = "linux") {
            let memory = record["memory"].as_u64().unwrap();
            assert!(memory > 1 << 20, "{memory}");
            wanted.push(format!("{} MiB", memory >> 20));
        }
        for part in wanted {
            assert!(line.contains(&part), "`{part}` in: {line}");
        }
    }
}

#[test]
fn quiet_keeps_results_warnings_and_errors() {
    let place = Place::new();
    let (stdout, stderr, done) = output(place.experiment("demo", SMALL, &["--quiet"]));
    assert!(done.status.success() && stderr.is_empty(), "{stderr}");
    assert!(stdout.contains("the honest figure"), "{stdout}");
    let run = place.run_of("demo");
    std::fs::write(place.path().join("bad.png"), "no image").unwrap();
    let (_, stderr, done) =
        output(place.command(&["predict", run.to_str().unwrap(), "bad.png", "--quiet"]));
    assert_eq!(done.status.code(), Some(1));
    assert!(stderr.starts_with("warning: ") && stderr.lines().count() == 1, "{stderr}");
    image::RgbImage::new(64, 64).save(place.path().join("good.png")).unwrap();
    let (stdout, stderr, _) =
        output(place.command(&["predict", run.to_str().unwrap(), "good.png", "--quiet"]));
    assert!(stdout.trim_end().ends_with("good.png") && stderr.is_empty(), "{stdout}{stderr}");
    let (_, stderr, done) = output(place.command(&["evaluate", "nowhere", "-q"]));
    assert_eq!(done.status.code(), Some(2));
    assert!(stderr.starts_with("error: nowhere") && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn json_has_everything_that_lines_say() {
    let place = Place::new();
    let json = ["--log-format", "json"];
    let (stdout, stderr, done) = output(place.experiment("demo", SMALL, &json));
    assert!(done.status.success(), "{stderr}");
    assert!(stdout.contains("mean") && stdout.contains("the honest figure"), "{stdout}");
    assert!(!stdout.contains('{'), "{stdout}");
    let all = objects(&stderr);
    assert!(all.iter().any(|v| v["message"].as_str().unwrap().contains("run folder runs/demo/")));

    // The records are those of the file, with terms by name.
    let records = metrics(&place.run_of("demo"));
    let passes = named(&all, "pass");
    assert_eq!(passes.len(), records.len());
    for (line, record) in passes.iter().zip(&records) {
        for key in ["epoch", "pass", "passes", "rate", "loss", "seconds", "images", "memory"] {
            assert_eq!(line[key], record[key], "{key} of {line}");
        }
        assert_eq!(line["image_auroc"], record["image_auroc"]);
        assert_eq!(line["pixel_auroc"], record["pixel_auroc"]);
        let terms = record["terms"].as_array().unwrap();
        assert_eq!(line["terms"].as_object().unwrap().len(), terms.len());
        for term in terms {
            assert_eq!(line["terms"][term[0].as_str().unwrap()], term[1], "{line}");
        }
        assert!(line["images_per_second"].as_f64().unwrap() > 0.0);
        assert!(line["seconds_left"].as_f64().unwrap() >= 0.0);
    }
    assert_eq!(passes[2]["seconds_left"], 0.0);

    // Parts begin and end in order.
    let parts = |message: &str| -> Vec<String> {
        named(&all, message).iter().map(|v| v["part"].as_str().unwrap().into()).collect()
    };
    assert_eq!(parts("begin"), parts("end"));
    for part in ["features (scattering)", "evaluating", "scores and heat maps"] {
        assert!(parts("begin").iter().any(|p| p == part), "{part} in:\n{stderr}");
    }
    assert_eq!(named(&all, "begin")[0]["total"], 108);
    assert!(named(&all, "end")[0]["seconds"].is_number());

    // A filter for the libraries does not take away what the program says, --quiet does.
    let mut c = place.experiment("demo", SMALL, &json);
    c.env("HGAD_LOG", "off");
    assert_eq!(named(&objects(&output(c).1), "pass").len(), 3);
    let (_, stderr, done) = output(place.experiment("demo", SMALL, &[&json[..], &["-q"]].concat()));
    assert!(done.status.success() && stderr.is_empty(), "{stderr}");
}

#[test]
fn errors_are_json_too() {
    let place = Place::new();
    for (args, code, words) in [
        (vec!["evaluate", "nowhere", "--log-format", "json"], 2, "nowhere"),
        (vec!["evaluate", "nowhere", "--log-format=json", "--quiet"], 2, "nowhere"),
        // The command line itself.
        (vec!["evaluate", "--log-format=json"], 2, "<RUN>"),
        (vec!["--log-format", "json", "evalute"], 2, "evaluate"),
    ] {
        let (stdout, stderr, done) = output(place.command(&args));
        assert_eq!(done.status.code(), Some(code));
        assert_eq!(stdout, "");
        let all = objects(&stderr);
        assert_eq!(all.len(), 1, "{stderr}");
        assert_eq!(all[0]["level"], "ERROR");
        assert_eq!(all[0]["exit_code"], code);
        assert!(all[0]["message"].as_str().unwrap().contains(words), "{stderr}");
    }
    // Help is what was asked for, and goes where it goes.
    let (stdout, stderr, done) = output(place.command(&["--help", "--log-format=json"]));
    assert!(done.status.success() && stdout.contains("Usage") && stderr.is_empty());
    let mut c = place.command(&["cache", "list", "--log-format=json"]);
    c.env("HGAD_LOG", "a=b=c");
    let all = objects(&output(c).1);
    assert_eq!((all.len(), all[0]["level"].as_str()), (1, Some("WARN")));
    assert!(all[0]["message"].as_str().unwrap().contains("HGAD_LOG"), "{all:?}");
}

#[test]
fn several_runs_at_once_say_which_they_are() {
    let place = Place::new();
    let run = |json: bool| {
        let mut c = place.command(&["ablation", "priors", "--base", "demo", "--seeds", "0"]);
        c.args(["--jobs", "2", "--fresh"]);
        if json {
            c.args(["--log-format", "json"]);
        }
        let small = SMALL.iter().filter(|s| !s.starts_with("eval.every"));
        small.for_each(|s| {
            c.args(["--set", s]);
        });
        let (_, stderr, done) = output(c);
        assert!(done.status.success(), "{}", text(&done));
        stderr
    };
    let all = objects(&run(true));
    for variant in ["single", "mixture", "hierarchical"] {
        let name = format!("{variant}, seed 0");
        let of: Vec<&Value> = all.iter().filter(|v| v["run"] == name.as_str()).collect();
        let passes: Vec<&&Value> = of.iter().filter(|v| v["message"] == "pass").collect();
        let numbers: Vec<u64> = passes.iter().map(|v| v["pass"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [1, 2, 3], "{name}");
    }
    let lines = run(false);
    for variant in ["single", "mixture", "hierarchical"] {
        let of = |n: usize| format!("{variant}, seed 0: pass {n}/3 (epoch {n}): loss ");
        assert!((1..=3).all(|n| lines.contains(&of(n))), "{lines}");
    }
}

/// In a terminal of 80 columns there is a bar, and no line is longer.
#[test]
#[cfg(target_os = "linux")]
fn on_a_terminal_there_is_a_bar_that_fits() {
    let there = Command::new("script").arg("--version").output().is_ok_and(|o| o.status.success());
    if !there {
        println!("skipped: there is no `script` (util-linux) to make a terminal with");
        return;
    }
    let place = Place::new();
    let mut settings = SMALL.to_vec();
    // Long enough a pass for the bar to be drawn several times.
    settings.extend(["data.img_size=128", "backbone.taps=[4]", "train.epochs=2"]);
    settings.extend(["data.synthetic.train=24", "eval.every=0"]);
    let sets: Vec<String> = settings.iter().map(|s| format!("--set '{s}'")).collect();
    let program = env!("CARGO_BIN_EXE_hgad");
    let line = format!("stty cols 80 rows 40; {program} experiment demo {}", sets.join(" "));
    let mut c = Command::new("script");
    c.args(["-qec", &line, "/dev/null"]).current_dir(place.path());
    c.env("HGAD_CACHE", place.path().join("cache")).env("TERM", "xterm-256color");
    let output = c.stdin(std::process::Stdio::null()).output().unwrap();
    let screen = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{screen}");
    assert!(screen.contains('\u{1b}'), "nothing was drawn:\n{screen}");
    // Lines of a bar are filled with spaces up to the last column.
    let plain = without_escapes(&screen);
    let rows: Vec<String> = plain
        .split(['\r', '\n'])
        .flat_map(|l| {
            let all: Vec<char> = l.chars().collect();
            all.chunks(80).map(|row| row.iter().collect()).collect::<Vec<String>>()
        })
        .collect();
    let starts = |with: &str| rows.iter().find(|r| r.starts_with(with));
    let bar = starts("epoch 1/2 pass 1/2 ").unwrap_or_else(|| panic!("{plain}"));
    assert!(bar.contains("/96 images"), "{bar}");
    let below = starts("  loss ").unwrap_or_else(|| panic!("{plain}"));
    assert!(below.contains("inter ") && below.contains("entropy "), "{below}");
    let last = starts("  rate ").unwrap_or_else(|| panic!("{plain}"));
    assert!(last.contains(" MiB"), "{last}");
    // A line that were longer would have its end in the next row.
    for row in rows.iter().filter(|r| r.contains('━')) {
        assert!(row.trim_end().chars().count() <= 80, "{row}");
        assert!(
            ["epoch ", "features ", "evaluating", "scores", "calib"]
                .iter()
                .any(|w| row.starts_with(w)),
            "{row}"
        );
    }
}

/// `text` without the sequences that set colours; those that move the cursor begin a line.
#[cfg(target_os = "linux")]
fn without_escapes(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(part.len() - 1);
        if !part[end..].starts_with('m') {
            out.push('\r');
        }
        out += &part[end + 1..];
    }
    out
}
