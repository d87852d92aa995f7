//! One file a part; the parts by name.

mod backbone;
mod flow;
mod image_files;
mod kernel;
mod load;
mod metrics;
mod step;
mod train;
mod training;
mod whole;

use crate::case::{Case, Plan, Setup};
use crate::error::BenchError;

/// Some cases that belong together.
pub struct Part {
    /// The beginning of its cases' names.
    pub name: &'static str,
    /// What it times.
    pub about: &'static str,
    plans: fn() -> Vec<Plan>,
}

/// All parts.
pub const PARTS: &[Part] = &[
    Part { name: "backbone", about: "feature extraction, ms a batch", plans: backbone::plans },
    Part { name: "flow", about: "forward and training step of a level", plans: flow::plans },
    Part { name: "step", about: "training step of three levels, on --device", plans: step::plans },
    Part { name: "train", about: "a pass over cached features", plans: train::plans },
    Part { name: "metrics", about: "pixel metrics of 5.4 million scores", plans: metrics::plans },
    Part { name: "load", about: "images from files, and the decoder alone", plans: load::plans },
    Part { name: "whole", about: "a test image from file to map", plans: whole::plans },
    Part {
        name: "kernel",
        about: "what the machine gives: a matrix product",
        plans: kernel::plans,
    },
];

/// Measures the cases of `part` (`all` for every part) that have `text` in their names, gives
/// each to `each` as it is done, and all of them at the end.
///
/// # Errors
/// [`BenchError::UnknownPart`], [`BenchError::NoCase`]; what a case gives.
pub fn run(
    part: &str,
    text: &str,
    setup: &Setup,
    mut each: impl FnMut(&Case),
) -> Result<Vec<Case>, BenchError> {
    let chosen: Vec<&Part> = PARTS.iter().filter(|p| part == "all" || p.name == part).collect();
    if chosen.is_empty() {
        let known: Vec<&str> = PARTS.iter().map(|p| p.name).collect();
        return Err(BenchError::UnknownPart { name: part.into(), known: known.join(", ") });
    }
    let plans: Vec<Plan> = chosen.iter().flat_map(|p| (p.plans)()).collect();
    if !plans.iter().any(|p| p.name.contains(text)) {
        let known: Vec<&str> = plans.iter().map(|p| p.name.as_str()).collect();
        return Err(BenchError::NoCase {
            part: part.into(),
            text: text.into(),
            known: known.join(", "),
        });
    }
    let mut cases = Vec::new();
    for plan in plans.into_iter().filter(|p| p.name.contains(text)) {
        let case = plan.run(setup)?;
        each(&case);
        cases.push(case);
    }
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_begin_with_their_part() {
        for part in PARTS {
            let plans = (part.plans)();
            assert!(!plans.is_empty(), "{}", part.name);
            for plan in plans {
                assert!(plan.name.starts_with(&format!("{}/", part.name)), "{}", plan.name);
            }
        }
    }
}
