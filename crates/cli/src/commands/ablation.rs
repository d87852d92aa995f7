//! `hgad ablation`

use super::Outcome;
use crate::arguments::AblationArguments;
use crate::terminal::Terminal;
use hgad_experiment::ablation::{Options, Plan, Request, Spec, run as run_plan, text};
use std::process::ExitCode;

/// Runs an ablation and prints its table.
pub fn run(a: AblationArguments, terminal: &Terminal) -> Outcome {
    let request = Request { base: a.base, set: a.set, seeds: a.seeds, only: a.only };
    let plan = Plan::new(Spec::read(&a.name)?, &request)?;
    if a.plan {
        print(&plan);
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options { jobs: a.jobs, fresh: a.fresh, results: a.results };
    let summary = run_plan(&plan, &options, terminal)?;
    terminal.clear();
    println!("\n{}", text::plain(&summary));
    println!(
        "table.md, table.csv, results.json, figure.svg and the runs are in {}",
        plan.folder().display()
    );
    Ok(if summary.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What would be run.
fn print(plan: &Plan) {
    let spec = &plan.spec;
    println!("{}: {}", spec.name, spec.about);
    println!(
        "base {}, seeds {:?}, {} runs in {}\n",
        spec.base,
        spec.seeds,
        plan.runs.len(),
        plan.folder().display()
    );
    let width = spec.variants.iter().map(|v| v.name.len()).max().unwrap_or(0);
    for v in &spec.variants {
        let reference = if v.name == spec.reference { "  (reference)" } else { "" };
        println!("{:<width$}  {}{reference}", v.name, settings("", &v.set).join(", "));
    }
}

/// `a.b = value` for everything in a table.
fn settings(prefix: &str, table: &toml::Table) -> Vec<String> {
    let of = |(key, value): (&String, &toml::Value)| match value {
        toml::Value::Table(t) => settings(&format!("{prefix}{key}."), t),
        v => vec![format!("{prefix}{key} = {v}")],
    };
    let all: Vec<String> = table.iter().flat_map(of).collect();
    if all.is_empty() && prefix.is_empty() { vec!["as the base".into()] } else { all }
}
