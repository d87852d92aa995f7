//! `hgad import`

use super::Outcome;
use crate::arguments::ImportArguments;
use crate::terminal::Terminal;
use hgad_experiment::exchange::{ImportRequest, import};
use std::process::ExitCode;

/// Makes a run folder of a checkpoint of the authors' code.
pub fn run(a: ImportArguments, terminal: &Terminal) -> Outcome {
    let request = ImportRequest {
        file: a.file,
        experiment: a.experiment,
        set: a.set,
        classes: a.classes,
        out: a.out,
    };
    let imported = import(&request, terminal)?;
    terminal.clear();
    let s = &imported.sizes;
    println!(
        "{} levels of {} channels, {} blocks, position code of {} channels, {} classes of {} centres, {} passes",
        s.levels, s.dim, s.blocks, s.condition, s.classes, s.centers, imported.passes
    );
    println!("classes in order: {}", imported.classes.join(", "));
    if !imported.ignored.is_empty() {
        println!("ignored in the file: {}", imported.ignored.join(", "));
    }
    let folder = imported.run.path().display();
    println!("run folder {folder}; test it with `hgad evaluate {folder}`");
    Ok(ExitCode::SUCCESS)
}
