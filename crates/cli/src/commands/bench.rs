//! `hgad bench`

use super::Outcome;
use crate::arguments::BenchArguments;
use crate::terminal::Terminal;
use hgad_bench::{BenchError, Case, Clock, Setup, run as measure};
use hgad_experiment::{Config, Event, Observer, open_device, validate};
use std::process::ExitCode;

/// Measures and prints the cases asked for.
pub fn run(a: BenchArguments, terminal: &Terminal) -> Outcome {
    let mut clock = Clock { seconds: a.seconds, ..Default::default() };
    // A short look is content with fewer runs.
    if a.seconds <= 0.0 {
        clock.least = 1;
    }
    if a.device != "cpu" && a.part != "step" {
        return Err(BenchError::Device { part: a.part }.into());
    }
    let mut config = Config { device: a.device, ..Config::default() };
    config.train.matmul = a.matmul;
    validate(&config)?;
    let setup = Setup { clock, images: a.images, device: open_device(&config)? };
    terminal.event(Event::Note(&format!(
        "{} threads, kernels on {}",
        threads(),
        hgad_kernels::isa_name()
    )));
    let cases = measure(&a.part, &a.case, &setup, |case| {
        if !a.json {
            println!("{}", line(case));
        }
    })?;
    if a.json {
        let versions = serde_json::json!({
            "hgad": env!("CARGO_PKG_VERSION"),
            "isa": hgad_kernels::isa_name(),
            "threads": threads(),
        });
        let all = serde_json::json!({ "cases": cases, "versions": versions });
        println!("{all:#}");
    }
    Ok(ExitCode::SUCCESS)
}

fn threads() -> usize {
    rayon::current_num_threads()
}

fn line(case: &Case) -> String {
    format!("{:<40} {:>10.3} {}", case.name, case.median, case.unit)
}
