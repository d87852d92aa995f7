//! `hgad doctor`: what the program finds on this machine.

mod data;
mod environment;
mod finding;
mod machine;
mod storage;

use super::Outcome;
use crate::arguments::DoctorArguments;
use finding::{Finding, Section};
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// Looks at everything and prints it, in quiet only what is wrong.
pub fn run(a: DoctorArguments, quiet: bool) -> Outcome {
    let mut sections = vec![
        machine::program(),
        machine::processor(),
        machine::memory(),
        machine::devices(),
        environment::section(),
        storage::cache(&a.cache.unwrap_or_default()),
        storage::weights(),
        storage::runs(&a.runs),
    ];
    sections.extend(data::section(&a.root));
    let problems = || sections.iter().flat_map(|s| &s.findings).filter(|f| f.problem.is_some());
    let fine = problems().count() == 0;
    let text = match (a.json, quiet) {
        (true, _) => format!("{:#}\n", as_json(&sections)),
        (false, true) => problems().map(Finding::complaint).collect(),
        (false, false) => text(&sections) + &verdict(problems().count()),
    };
    super::print(text.as_bytes())?;
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(sections: &[Section]) -> String {
    let names = sections.iter().flat_map(|s| &s.findings).map(|f| f.what.chars().count());
    let width = names.max().unwrap_or(0);
    let mut out = String::new();
    for section in sections {
        out += &format!("{}\n", section.title);
        section.findings.iter().for_each(|f| out += &f.text(width));
        out.push('\n');
    }
    out
}

fn verdict(problems: usize) -> String {
    match problems {
        0 => "all is well\n".into(),
        1 => "1 thing is wrong, marked with !\n".into(),
        n => format!("{n} things are wrong, marked with !\n"),
    }
}

fn as_json(sections: &[Section]) -> Value {
    let mut out = Map::new();
    let all = || sections.iter().flat_map(|s| s.findings.iter().map(move |f| (s, f)));
    let problems: Vec<Value> = all()
        .filter_map(|(s, f)| {
            let problem = f.problem.as_ref()?;
            let (reason, way_out) = (&problem.reason, &problem.way_out);
            Some(json!({
                "section": s.title.replace(' ', "_"), "what": f.what, "problem": reason, "way_out": way_out
            }))
        })
        .collect();
    out.insert("fine".into(), problems.is_empty().into());
    for section in sections {
        let findings = section.findings.iter().map(|f| (f.what.clone(), f.json()));
        out.insert(section.title.replace(' ', "_"), Value::Object(findings.collect()));
    }
    out.insert("problems".into(), problems.into());
    Value::Object(out)
}
