//! A comparison for people: aligned columns, or Markdown.

use crate::compare::{Column, Comparison, Pair};
use crate::compose::stem;
use serde_json::Value;

/// A run's values, and their differences to the published ones.
type Cells = (Option<Pair>, Option<Pair>);

/// For a terminal.
pub fn plain(c: &Comparison) -> String {
    render(c, aligned, "")
}

/// As Markdown.
pub fn markdown(c: &Comparison) -> String {
    render(c, piped, "\n")
}

/// Lines of cells; the first is the head.
type Grid = Vec<Vec<String>>;

fn render(c: &Comparison, table: fn(&Grid) -> String, gap: &str) -> String {
    let mut out = format!("{}: AUROC of images (I) and pixels (P)", c.title);
    if c.published.is_some() {
        out += ", ΔI and ΔP less the published";
    }
    out += &format!("\n\n{}\n", table(&figures(c)));
    for (i, run) in c.runs.iter().enumerate() {
        out += &format!(
            "{gap}{} {} {}, {} passes; best pass on the test set: {}; {}\n",
            label(c, i),
            run.name,
            run.id,
            run.passes,
            run.best_on_test.0,
            run.path.display()
        );
    }
    out += &sources(c, gap);
    if !c.differences.is_empty() {
        let star =
            if c.runs.iter().any(|r| r.differs) { " (* is not the published setting)" } else { "" };
        out += &format!("\nWhat differs in setting{star}:\n\n{}", table(&settings(c)));
    } else if c.published.is_some() {
        out += &format!("{gap}All settings are the published ones.\n");
    }
    out
}

/// The numbers, class by class.
fn figures(c: &Comparison) -> Grid {
    let mut head = vec!["class".to_string()];
    if let Some(p) = &c.published {
        head.extend([format!("{} I", p.protocol.method), format!("{} P", p.protocol.method)]);
    }
    for i in 0..c.runs.len() {
        let label = label(c, i);
        head.extend([format!("{label} I"), format!("{label} P")]);
        if c.published.is_some() {
            head.extend(["ΔI".to_string(), "ΔP".into()]);
        }
    }
    let mut grid = vec![head];
    let mut row = |name: &str, published: Option<Pair>, of: &dyn Fn(&Column) -> Cells| {
        let mut cells = vec![name.to_string()];
        if c.published.is_some() {
            cells.extend(values(published, |v| format!("{v:.3}")));
        }
        for run in &c.runs {
            let (value, difference) = of(run);
            cells.extend(values(value, |v| format!("{v:.4}")));
            if c.published.is_some() {
                cells.extend(values(difference, |v| format!("{v:+.4}")));
            }
        }
        grid.push(cells);
    };
    for class in &c.classes {
        let published = c.published.as_ref().and_then(|p| p.classes.get(class).copied());
        row(class, published, &|r| {
            (r.classes.get(class).copied(), r.class_differences.get(class).copied())
        });
    }
    let published = c.published.as_ref().map(|p| p.mean);
    row("mean, last pass", None, &|r| (Some(r.mean), r.mean_difference));
    row("mean, best on test", published, &|r| (Some(r.best_on_test.1), r.best_difference));
    for other in &c.others {
        let pair =
            Pair { image_auroc: Some(other.image_auroc), pixel_auroc: Some(other.pixel_auroc) };
        row(&format!("{}, mean", other.method), Some(pair), &|_| (None, None));
    }
    grid
}

/// Where numbers come from, and what to keep in mind.
fn sources(c: &Comparison, gap: &str) -> String {
    let mut out = String::new();
    let Some(p) = &c.published else {
        return format!("{gap}Nothing is published on this data set.\n");
    };
    out += &format!(
        "{gap}{}: {}; {} px, {}, {} passes, {}.\n",
        p.protocol.method,
        p.protocol.source,
        p.protocol.img_size,
        p.protocol.backbone,
        p.protocol.passes,
        p.protocol.selection
    );
    for other in &c.others {
        out += &format!("{gap}{}: {}; {}.\n", other.method, other.about, other.source);
    }
    out += &format!(
        "{gap}The published figures are of {}, chosen with test labels; those of runs by class are of the last pass. The row `best on test` compares like with like.\n",
        p.protocol.selection
    );
    for (i, run) in c.runs.iter().enumerate() {
        if let Some(mean) = run.published_mean.filter(|m| *m != p.mean) {
            let [image, pixel] = values(Some(mean), |v| format!("{v:.4}"));
            out += &format!(
                "{gap}{} has other classes than the published ones: its means are compared with the published mean over those it has, {image} and {pixel}.\n",
                label(c, i)
            );
        }
    }
    out
}

/// The settings that differ.
fn settings(c: &Comparison) -> Grid {
    let mut head = vec!["setting".to_string()];
    head.extend(c.published.as_ref().map(|_| "published".to_string()));
    head.extend((0..c.runs.len()).map(|i| label(c, i)));
    let mut grid = vec![head];
    for d in &c.differences {
        let mut cells = vec![d.key.clone()];
        cells.extend(d.published.as_ref().map(short));
        cells.extend(d.runs.iter().enumerate().map(|(i, v)| {
            let star = if d.differs(i) { " *" } else { "" };
            format!("{}{star}", short(v))
        }));
        grid.push(cells);
    }
    grid
}

/// `[1]`, with a star where the settings are not the published ones.
fn label(c: &Comparison, i: usize) -> String {
    let star = if c.runs[i].differs { "*" } else { "" };
    format!("[{}]{star}", i + 1)
}

fn short(value: &Value) -> String {
    match value {
        Value::String(s) if s.contains('/') => stem(s).into(),
        Value::String(s) => s.clone(),
        Value::Null => "-".into(),
        v => v.to_string(),
    }
}

fn values(pair: Option<Pair>, text: impl Fn(f64) -> String) -> [String; 2] {
    let pair = pair.unwrap_or_default();
    [pair.image_auroc, pair.pixel_auroc].map(|v| v.map_or("-".into(), &text))
}

fn aligned(grid: &Grid) -> String {
    let len = |text: &String| text.chars().count();
    let columns = grid.first().map_or(0, Vec::len);
    let width = |i: usize| grid.iter().filter_map(|r| r.get(i)).map(len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for (at, row) in grid.iter().enumerate() {
        let mut line = String::new();
        for (i, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let space = " ".repeat(width - len(cell));
            // Names to the left, figures to the right.
            line += &if i == 0 { format!("{cell}{space}") } else { format!("  {space}{cell}") };
        }
        out += &format!("{}\n", line.trim_end());
        if at == 0 {
            out += &format!("{}\n", "─".repeat(len(&line)));
        }
    }
    out
}

fn piped(grid: &Grid) -> String {
    let mut out = String::new();
    for (at, row) in grid.iter().enumerate() {
        out += &format!("| {} |\n", row.join(" | ").replace('*', "\\*"));
        if at == 0 {
            out += &format!("|---|{}\n", "---:|".repeat(row.len().saturating_sub(1)));
        }
    }
    out
}
