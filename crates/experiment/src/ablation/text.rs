//! The table of an ablation as text: for the terminal, Markdown and CSV.

use super::summary::{Row, Summary};
use crate::results::Metrics;

/// Columns of the tables for reading: title, and the metric's index in [`Metrics::values`].
const SHOWN: [(&str, usize); 3] = [("image AUROC", 0), ("pixel AUROC", 1), ("AUPRO", 6)];

/// Keys of all metrics, in the order of [`Metrics::values`].
const KEYS: [&str; 7] =
    ["image_auroc", "pixel_auroc", "image_ap", "pixel_ap", "image_f1max", "pixel_f1max", "aupro"];

/// For the terminal, columns aligned.
pub fn plain(summary: &Summary) -> String {
    let rows = cells(summary);
    let columns = rows[0].len();
    let widths: Vec<usize> = (0..columns)
        .map(|c| rows.iter().map(|r| r[c].chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths).enumerate().map(|(i, (cell, width))| match i {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string() + "\n"
    };
    let mut out = line(&rows[0]);
    out += &("─".repeat(widths.iter().sum::<usize>() + 2 * (columns - 1)) + "\n");
    rows[1..].iter().for_each(|r| out += &line(r));
    out + "\n" + &legend(summary)
}

/// As Markdown, with what it is below.
pub fn markdown(summary: &Summary) -> String {
    let rows = cells(summary);
    let line = |row: &[String]| format!("| {} |\n", row.join(" | "));
    let mut out = line(&rows[0]);
    let rule: Vec<String> =
        (0..rows[0].len()).map(|i| if i == 0 { "---".into() } else { "---:".into() }).collect();
    out += &line(&rule);
    rows[1..].iter().for_each(|r| out += &line(r));
    out + "\n" + &legend(summary)
}

/// As CSV (RFC 4180): a row a variant, every metric with its mean, standard deviation and
/// difference.
pub fn csv(summary: &Summary) -> String {
    let mut out = "variant,seeds".to_string();
    for key in KEYS {
        out += &format!(",{key},{key}_std,{key}_difference,{key}_difference_std");
    }
    out += ",training_seconds,total_seconds,parameters\n";
    for row in &summary.rows {
        let seeds: Vec<String> = row.seeds.iter().map(u64::to_string).collect();
        // A name may have a comma, and nothing else that needs quoting.
        out += &format!("\"{}\",{}", row.name, seeds.join(" "));
        let all = [&row.mean, &row.std, &row.difference, &row.difference_std].map(Metrics::values);
        for i in 0..KEYS.len() {
            for values in &all {
                out += &values[i].map_or(",".into(), |v| format!(",{v}"));
            }
        }
        let s = &row.seconds;
        out += &format!(",{},{},{}\n", s.training, s.total, row.parameters);
    }
    out
}

/// Head and rows.
fn cells(summary: &Summary) -> Vec<Vec<String>> {
    let mut head = vec!["variant".to_string(), "seeds".into()];
    for (title, _) in SHOWN {
        head.extend([title.to_string(), "to ref.".into()]);
    }
    head.extend(["train s".into(), "params M".into()]);
    let rows = summary.rows.iter().map(|row| {
        let is_reference = row.name == summary.reference;
        let mark = if is_reference { " (ref.)" } else { "" };
        let mut cells = vec![format!("{}{mark}", row.name), row.seeds.len().to_string()];
        for (_, i) in SHOWN {
            cells.push(value(row, i));
            let difference = row.difference.values()[i].filter(|_| !is_reference);
            cells.push(difference.map_or(String::new(), |d| format!("{d:+.4}")));
        }
        if row.seeds.is_empty() {
            cells.extend([String::new(), String::new()]);
        } else {
            cells.push(format!("{:.0}", row.seconds.training));
            cells.push(format!("{:.2}", row.parameters as f64 / 1e6));
        }
        cells
    });
    std::iter::once(head).chain(rows).collect()
}

/// Mean and, of several seeds, deviation of a metric.
fn value(row: &Row, index: usize) -> String {
    match (row.mean.values()[index], row.std.values()[index]) {
        (Some(mean), Some(std)) => format!("{mean:.4} ± {std:.4}"),
        (Some(mean), None) => format!("{mean:.4}"),
        (None, _) if row.seeds.is_empty() => "missing".into(),
        (None, _) => "undef.".into(),
    }
}

fn legend(summary: &Summary) -> String {
    let seeds: Vec<String> = summary.seeds.iter().map(u64::to_string).collect();
    let mut out = format!(
        "{}: {}. Base {}, seeds {}; means over classes after the last pass, then mean{} over seeds; \
         differences to {}, seed by seed.\n",
        summary.name,
        summary.about,
        summary.base,
        seeds.join(", "),
        if seeds.len() > 1 { " ± standard deviation" } else { "" },
        summary.reference
    );
    summary.failed.iter().for_each(|f| out += &format!("failed: {f}\n"));
    out
}
