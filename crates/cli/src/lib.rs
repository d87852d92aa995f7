//! The program `hgad` as a library: a crate that registers pieces of its own before it calls
//! [`main`] has the whole program with them.
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     // hgad_priors::register("mine", ...), hgad_backbones::register("mine", ...), then
//!     hgad::main()
//! }
//! ```

mod arguments;
mod commands;
mod failure;
mod terminal;
mod threads;

use arguments::{Arguments, Command};
use clap::Parser;
use std::process::ExitCode;

/// Does what the command line asks and gives the exit code: 0, 2 for what the user can mend, 1 for
/// failures, 3 where `predict --fail-on-anomaly` found something.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return ExitCode::from(terminal::refuse(&error)),
    };
    let terminal = terminal::Terminal::new(arguments.quiet, arguments.log_format);
    if let Some(threads) = arguments.threads {
        threads::limit(threads);
    }
    let outcome = match arguments.command {
        Command::Experiment(a) => commands::experiment::run(a, &terminal),
        Command::Ablation(a) => commands::ablation::run(a, &terminal),
        Command::Report(a) => commands::report::run(a),
        Command::Evaluate(a) => commands::evaluate::run(a, &terminal),
        Command::Compare(a) => commands::compare::run(a),
        Command::Import(a) => commands::import::run(a, &terminal),
        Command::Export(a) => commands::export::run(a),
        Command::Predict(a) => commands::predict::run(a, &terminal),
        #[cfg(feature = "serve")]
        Command::Serve(a) => commands::serve::run(a, &terminal),
        Command::Runs(a) => commands::runs::run(a),
        Command::Experiments => commands::experiments::run(),
        Command::Config(a) => commands::config::run(a),
        Command::Datasets(a) => commands::datasets::run(a),
        Command::Backbones => commands::backbones::run(),
        Command::Cache(a) => commands::cache::run(a),
        Command::Bench(a) => commands::bench::run(a, &terminal),
        Command::Doctor(a) => commands::doctor::run(a, arguments.quiet),
        Command::Completions(a) => commands::completions::run(a),
        Command::Man(a) => commands::man::run(a),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            let code = if error.is_users() { 2 } else { 1 };
            terminal.fail(&terminal::chain(&error), code);
            ExitCode::from(code)
        }
    }
}
