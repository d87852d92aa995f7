//! `hgad runs`

use super::Outcome;
use crate::arguments::{RunsArguments, SortKey};
use crate::terminal::duration;
use hgad_experiment::ExperimentError;
use hgad_experiment::cache::bytes_text;
use hgad_experiment::runs::{RunSummary, State, list};
use std::cmp::Ordering;
use std::process::ExitCode;

/// Lists runs.
pub fn run(a: RunsArguments) -> Outcome {
    let missing = !a.dir.exists();
    if missing && a.dir.as_os_str() != "runs" {
        let reason = "there is no such folder; give the folder of your runs, run.dir".into();
        return Err(ExperimentError::Run { path: a.dir, reason }.into());
    }
    let mut runs = if missing { Vec::new() } else { list(&a.dir)? };
    if let Some(text) = &a.name {
        runs.retain(|r| r.name.contains(text.as_str()));
    }
    runs.sort_by(|x, y| order(a.sort, x, y));
    if a.reverse {
        runs.reverse();
    }
    let text = if a.json {
        format!("{:#}\n", serde_json::to_value(&runs).unwrap_or_default())
    } else if runs.is_empty() {
        match a.name {
            Some(name) => format!("no runs with `{name}` in their names in {}\n", a.dir.display()),
            None => {
                format!("no runs in {}; `hgad experiment demo` makes one\n", a.dir.display())
            }
        }
    } else {
        format!("{}\n{}\n", table(&runs), total(&runs, &a.dir.display().to_string()))
    };
    super::print(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// What is not known comes first; what is equal stays in the order of beginning.
fn order(key: SortKey, a: &RunSummary, b: &RunSummary) -> Ordering {
    let number = |x: Option<f64>, y: Option<f64>| match (x, y) {
        (Some(x), Some(y)) => x.total_cmp(&y),
        (x, y) => x.is_some().cmp(&y.is_some()),
    };
    match key {
        SortKey::Started => Ordering::Equal,
        SortKey::Name => a.name.cmp(&b.name),
        SortKey::State => rank(&a.state).cmp(&rank(&b.state)),
        SortKey::Seed => a.seed.cmp(&b.seed),
        SortKey::Prior => a.prior.cmp(&b.prior),
        SortKey::Image => number(a.image_auroc, b.image_auroc),
        SortKey::Pixel => number(a.pixel_auroc, b.pixel_auroc),
        SortKey::Aupro => number(a.aupro, b.aupro),
        SortKey::Time => number(a.seconds, b.seconds),
        SortKey::Size => a.bytes.cmp(&b.bytes),
    }
}

/// How far, as a number, and within that by passes.
fn rank(state: &State) -> (u8, usize) {
    match state {
        State::Broken { .. } => (0, 0),
        State::Stopped { pass, .. } => (1, *pass),
        State::Running { pass, .. } => (2, *pass),
        State::Imported => (3, 0),
        State::Finished => (4, 0),
    }
}

/// A column: heading, and whether it has numbers.
const COLUMNS: [(&str, bool); 11] = [
    ("name", false),
    ("id", false),
    ("state", false),
    ("seed", true),
    ("prior", false),
    ("classes", true),
    ("image", true),
    ("pixel", true),
    ("AUPRO", true),
    ("time", true),
    ("size", true),
];

fn table(runs: &[RunSummary]) -> String {
    let heading = COLUMNS.map(|(name, _)| name.to_string());
    let rows: Vec<[String; 11]> = std::iter::once(heading).chain(runs.iter().map(cells)).collect();
    let width = |i: usize| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0);
    let widths: [usize; 11] = std::array::from_fn(width);
    let line = |row: &[String; 11]| {
        let cell = |i: usize| match COLUMNS[i].1 {
            true => format!("{:>width$}", row[i], width = widths[i]),
            false => format!("{:<width$}", row[i], width = widths[i]),
        };
        (0..row.len()).map(cell).collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    let mut out = line(&rows[0]) + "\n";
    for (row, run) in rows[1..].iter().zip(runs) {
        out += &line(row);
        out.push('\n');
        if let State::Broken { reason } = &run.state {
            out += &format!("  {}: {reason}\n", run.path.display());
        }
    }
    out
}

fn cells(run: &RunSummary) -> [String; 11] {
    let none = || "-".to_string();
    let metric = |v: Option<f64>| v.map_or_else(none, |v| format!("{v:.4}"));
    let of = |pass: &usize, passes: &usize| match passes {
        0 => format!("pass {pass}"),
        _ => format!("pass {pass} of {passes}"),
    };
    let state = match &run.state {
        State::Finished if run.imported => "finished (imported)".into(),
        State::Finished => "finished".into(),
        State::Running { pass, passes } => format!("running, {}", of(pass, passes)),
        State::Stopped { pass, passes } => format!("stopped at {}", of(pass, passes)),
        State::Imported => "imported, not evaluated".into(),
        State::Broken { .. } => "broken".into(),
    };
    [
        run.name.clone(),
        run.id.clone(),
        state,
        run.seed.map_or_else(none, |s| s.to_string()),
        run.prior.clone().unwrap_or_else(none),
        run.classes.map_or_else(none, |c| c.to_string()),
        metric(run.image_auroc),
        metric(run.pixel_auroc),
        metric(run.aupro),
        run.seconds.map_or_else(none, duration),
        bytes_text(run.bytes),
    ]
}

/// All of them in a line.
fn total(runs: &[RunSummary], dir: &str) -> String {
    let count = |is: fn(&State) -> bool| runs.iter().filter(|r| is(&r.state)).count();
    let parts = [
        (count(|s| matches!(s, State::Finished)), "finished"),
        (count(|s| matches!(s, State::Running { .. })), "running"),
        (count(|s| matches!(s, State::Stopped { .. })), "stopped"),
        (count(|s| matches!(s, State::Imported)), "imported"),
        (count(|s| matches!(s, State::Broken { .. })), "broken"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let runs_text = if runs.len() == 1 { "run" } else { "runs" };
    let bytes = bytes_text(runs.iter().map(|r| r.bytes).sum());
    format!("{} {runs_text} in {dir}: {}; {bytes}", runs.len(), parts.join(", "))
}
