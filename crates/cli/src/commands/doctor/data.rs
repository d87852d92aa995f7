//! Folders of data, counted as `hgad datasets check` counts them.

use super::finding::{Finding, Section};
use hgad_datasets::{Descriptor, Report, check};
use hgad_experiment::data;
use std::path::Path;

/// The roots asked for; without, the default one, if it is there.
pub fn section(roots: &[String]) -> Option<Section> {
    let mut findings = Vec::new();
    for root in roots {
        match root.split_once('=') {
            Some((set, dir)) => findings.extend(known(set, Path::new(dir))),
            None => findings.extend(any(Path::new(root))),
        }
    }
    let default = data::root(Path::new(""));
    if roots.is_empty() && default.is_dir() {
        // It was not asked for, so that it is none of ours is no mistake.
        findings.extend(any(&default).into_iter().filter(|f| f.problem.is_none()));
    }
    (!findings.is_empty()).then_some(Section { title: "data", findings })
}

/// A folder that should be the data set `set`.
fn known(set: &str, root: &Path) -> Vec<Finding> {
    let report = data::descriptor(set)
        .map_err(|e| e.to_string())
        .and_then(|d| check(&d, root).map_err(|e| e.to_string()));
    match report {
        Ok(report) => vec![described(root, set, &report)],
        Err(reason) => {
            let way_out = "`hgad datasets list` says what there is and where it comes from";
            let place = Finding::new(format!("{set} in {}", root.display()), "");
            vec![place.value(()).wrong(reason, way_out)]
        }
    }
}

/// A folder that may be any data set, or several below it: those that are complete, else what a
/// folder of one's own would be.
fn any(root: &Path) -> Vec<Finding> {
    if !root.is_dir() {
        let place = Finding::new(root.display().to_string(), "");
        let way_out = "give the folder of a data set, or one that holds some";
        return vec![place.value(()).wrong("there is no such folder", way_out)];
    }
    let mut findings = Vec::new();
    for name in Descriptor::names() {
        let Ok(descriptor) = Descriptor::by_name(name) else { continue };
        // One without classes of its own fits every folder, and what is drawn is in none.
        let everywhere = descriptor.expected_classes().map_or(true, |c| c.is_empty());
        if everywhere || descriptor.layout == "synthetic" {
            continue;
        }
        if let Ok(report) = check(&descriptor, root)
            && report.is_complete()
        {
            findings.push(described(root, name, &report));
        }
    }
    if findings.is_empty() { known("folder", root) } else { findings }
}

fn described(root: &Path, set: &str, report: &Report) -> Finding {
    let counts = report.classes.iter().filter_map(|c| c.found);
    let (train, good, anomalous) = counts
        .fold((0, 0, 0), |sum, c| (sum.0 + c.train, sum.1 + c.test_good, sum.2 + c.test_anomalous));
    let found = report.classes.iter().filter(|c| c.found.is_some()).count();
    let names: Vec<&str> =
        report.classes.iter().filter(|c| c.found.is_some()).map(|c| c.name.as_str()).collect();
    let text = format!(
        "{found} classes, {train} training, {good} normal and {anomalous} anomalous test images"
    );
    let value = serde_json::json!({
        "set": set, "classes": names, "train": train,
        "test_good": good, "test_anomalous": anomalous,
    });
    let place = Finding::new(format!("{set} in {}", root.display()), text).value(value);
    if report.is_complete() {
        return place;
    }
    let wrong = report.classes.iter().filter(|c| !c.problems.is_empty());
    let wrong: Vec<String> =
        wrong.map(|c| format!("{} ({})", c.name, c.problems.join(", "))).collect();
    let shown = wrong[..wrong.len().min(3)].join("; ");
    let more = match wrong.len() {
        n @ 4.. => format!(" and {} more", n - 3),
        _ => String::new(),
    };
    let way_out = format!("`hgad datasets check {set} --root {}` lists them", root.display());
    place.wrong(format!("not as expected: {shown}{more}"), way_out)
}
