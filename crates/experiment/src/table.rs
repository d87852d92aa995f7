//! Results as a table by class.

use crate::deployed::{Deployed, DeployedClass, Outcome};
use crate::results::Metrics;
use std::collections::BTreeMap;

const COLUMNS: [&str; 7] = ["I-AUROC", "P-AUROC", "I-AP", "P-AP", "I-F1max", "P-F1max", "AUPRO"];

/// A table of `classes` and `mean`, columns aligned, undefined values as `undef.` with the reasons
/// below. I is of images, P of pixels.
pub fn table(classes: &BTreeMap<String, Metrics>, mean: &Metrics) -> String {
    let width = classes.keys().map(|n| n.len()).max().unwrap_or(0).max("class".len());
    let mut out = format!("{:<width$}", "class");
    COLUMNS.iter().for_each(|c| out += &format!("  {c:>7}"));
    let line = "─".repeat(width + COLUMNS.len() * 9);
    out += &format!("\n{line}\n");
    for (name, metrics) in classes {
        out += &row(name, metrics, width);
    }
    out += &format!("{line}\n{}", row("mean", mean, width));
    for (name, metrics) in classes {
        if let Some(why) = &metrics.undefined {
            out += &format!("{name}: {why}\n");
        }
    }
    out
}

fn row(name: &str, metrics: &Metrics, width: usize) -> String {
    let mut out = format!("{name:<width$}");
    for value in metrics.values() {
        out += &match value {
            Some(v) => format!("  {v:>7.4}"),
            None => format!("  {:>7}", "undef."),
        };
    }
    out + "\n"
}

/// A table of deployed scores: AUROC of images and pixels, false alarms and detections at the
/// threshold, with the class given and inferred; what promises nothing below.
pub fn deployed_table(deployed: &Deployed) -> String {
    let names = deployed.classes.keys().map(|n| n.len());
    let width = names.max().unwrap_or(0).max("class".len());
    let has_inferred = deployed.mean.inferred.is_some();
    let parts = if has_inferred { 2 } else { 1 };
    let mut out = format!("{:<width$}  {:<35}", "deployed", "class given");
    if has_inferred {
        out += "  class inferred";
    }
    out = format!("{}\n{:<width$}", out.trim_end(), "class");
    for _ in 0..parts {
        for column in ["I-AUROC", "P-AUROC", "alarms", "found"] {
            out += &format!("  {column:>7}");
        }
    }
    out += &format!("  {:>6}", "images");
    if has_inferred {
        out += &format!("  {:>7}  {:>6}", "class", "none");
    }
    let line = "─".repeat(width + parts * 36 + 8 + if has_inferred { 17 } else { 0 });
    out += &format!("\n{line}\n");
    for (name, class) in &deployed.classes {
        out += &deployed_row(name, class, width);
    }
    out += &format!("{line}\n{}", deployed_row("mean", &deployed.mean, width));
    out += &format!(
        "alarms: normal test images called anomalous, asked {} %; found: anomalous ones called so; images: calibrated on\n",
        100.0 * deployed.false_alarm_rate
    );
    let mut caveats: Vec<(&String, &String)> = Vec::new();
    for (name, class) in &deployed.classes {
        caveats.extend(class.caveat.as_ref().map(|c| (name, c)));
    }
    if let Some((name, caveat)) = caveats.first() {
        let others = match caveats.len() - 1 {
            0 => String::new(),
            n => format!(" (and {n} more)"),
        };
        out += &format!("no guarantee for {name}{others}: {caveat}\n");
    }
    out
}

fn deployed_row(name: &str, class: &DeployedClass, width: usize) -> String {
    let mut out = format!("{name:<width$}");
    let mut add = |o: &Outcome| {
        out += &number(o.image_auroc);
        out += &number(o.pixel_auroc);
        out += &percent(o.false_alarm_rate, 7);
        out += &percent(o.detection_rate, 7);
    };
    add(&class.given);
    class.inferred.iter().for_each(&mut add);
    out += &format!("  {:>6}", class.calibration_images);
    if class.inferred.is_some() {
        let none = |share: Option<f64>, count: usize| share.unwrap_or(0.0) * count as f64;
        let (good, bad) = (class.test_good, class.test_anomalous);
        let all = none(class.none_of_good, good) + none(class.none_of_anomalous, bad);
        out += &percent(class.class_accuracy, 7);
        out += &percent(Some(all / (good + bad).max(1) as f64), 6);
    }
    out + "\n"
}

fn number(value: Option<f64>) -> String {
    value.map_or(format!("  {:>7}", "undef."), |v| format!("  {v:>7.4}"))
}

fn percent(value: Option<f64>, width: usize) -> String {
    let text = value.map_or("-".into(), |v| format!("{:.1} %", 100.0 * v));
    format!("  {text:>width$}")
}
