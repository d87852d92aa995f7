//! One thing that was looked at.

use serde_json::{Value, json};

/// Findings under a title.
pub struct Section {
    /// What they are of.
    pub title: &'static str,
    /// In the order they are shown.
    pub findings: Vec<Finding>,
}

/// What was found.
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// What there is, in words.
    pub found: String,
    /// The same for programs: a number, a path, or null where there is nothing.
    pub value: Value,
    /// What is wrong with it.
    pub problem: Option<Problem>,
}

/// What is wrong, and what to do.
pub struct Problem {
    /// What is wrong.
    pub reason: String,
    /// What to do.
    pub way_out: String,
}

impl Finding {
    /// Something that is as it may be.
    pub fn new(what: impl Into<String>, found: impl Into<String>) -> Self {
        let found = found.into();
        let value = found.clone().into();
        Self { what: what.into(), found, value, problem: None }
    }

    /// With another value for programs.
    pub fn value(mut self, value: impl Into<Value>) -> Self {
        self.value = value.into();
        self
    }

    /// With something wrong.
    pub fn wrong(mut self, reason: impl Into<String>, way_out: impl Into<String>) -> Self {
        self.problem = Some(Problem { reason: reason.into(), way_out: way_out.into() });
        self
    }

    /// In a line, and one more for the way out; names are `width` wide.
    pub fn text(&self, width: usize) -> String {
        let mark = if self.problem.is_some() { '!' } else { ' ' };
        let reason = self.problem.as_ref().map_or("", |p| p.reason.as_str());
        let gap = if self.found.is_empty() || reason.is_empty() { "" } else { ": " };
        let line = format!("{mark} {:<width$}  {}{gap}{reason}", self.what, self.found);
        let mut out = line.trim_end().to_string() + "\n";
        if let Some(p) = &self.problem {
            out += &format!("  {:width$}  → {}\n", "", p.way_out);
        }
        out
    }

    /// What is wrong, in a line; empty where nothing is.
    pub fn complaint(&self) -> String {
        let of = |p: &Problem| format!("{}: {}; {}\n", self.what, p.reason, p.way_out);
        self.problem.as_ref().map(of).unwrap_or_default()
    }

    /// As an object.
    pub fn json(&self) -> Value {
        let mut out = json!({ "found": self.found, "value": self.value });
        if let Some(p) = &self.problem {
            out["problem"] = p.reason.clone().into();
            out["way_out"] = p.way_out.clone().into();
        }
        out
    }
}
