//! Results as a table by class.

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
