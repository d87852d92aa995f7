//! `hgad man`

use super::Outcome;
use crate::arguments::{Arguments, ManArguments};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use hgad_experiment::{ExperimentError, atomic};
use std::path::Path;
use std::process::ExitCode;

/// Prints a page, or writes all.
pub fn run(a: ManArguments) -> Outcome {
    let mut program = Arguments::command().disable_help_subcommand(true);
    // Commands get their full names and the arguments that all of them have.
    program.build();
    match a.out {
        Some(folder) => {
            let count = write(&program, &folder)?;
            println!("wrote {count} pages to {}", folder.display());
        }
        None => super::print(&page(find(&program, &a.command)?)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The command below `program` that `names` lead to.
fn find<'a>(program: &'a Command, names: &[String]) -> Result<&'a Command, ExperimentError> {
    let mut at = program;
    for name in names {
        at = at.find_subcommand(name).ok_or_else(|| {
            let known: Vec<&str> = at.get_subcommands().map(Command::get_name).collect();
            let reason = match known.is_empty() {
                true => format!("`{}` has no commands of its own", names[0]),
                false => format!("expected one of {}", known.join(", ")),
            };
            ExperimentError::Setting { key: "COMMAND", value: name.clone(), reason }
        })?;
    }
    Ok(at)
}

/// Writes the page of `command` and those below it, and counts them.
fn write(command: &Command, folder: &Path) -> Result<usize, ExperimentError> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    atomic::write_bytes(&folder.join(format!("{name}.1")), &page(command)?)?;
    let below = command.get_subcommands().map(|c| write(c, folder));
    below.sum::<Result<usize, _>>().map(|count| count + 1)
}

/// The page of `command`.
fn page(command: &Command) -> Result<Vec<u8>, ExperimentError> {
    let mut out = Vec::new();
    render(command, &mut out).map_err(|e| ExperimentError::io("write", "the page".as_ref(), e))?;
    Ok(out)
}

fn render(command: &Command, out: &mut Vec<u8>) -> std::io::Result<()> {
    let man = Man::new(command.clone())
        .source(concat!("hgad ", env!("CARGO_PKG_VERSION")))
        .manual("hgad");
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    if command.has_subcommands() {
        man.render_subcommands_section(out)?;
    }
    // Examples and tables keep their lines, which clap_mangen's own section would fill.
    let notes = command.get_after_long_help().or(command.get_after_help());
    if let Some(notes) = notes {
        let mut section = Roff::new();
        section.control("SH", ["NOTES"]).control("nf", []);
        section.text([roman(notes.to_string())]).control("fi", []);
        section.to_writer(out)?;
    }
    Ok(())
}
