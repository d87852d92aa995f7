//! Settings of pieces of other crates, handed over as text.

use hgad_registry::Options;
use toml::{Table, Value};

/// `[prior.options]` and the like, a value as TOML writes it, strings without quotes.
pub fn options(table: &Table) -> Options {
    let text = |value: &Value| match value {
        Value::String(s) => s.clone(),
        v => v.to_string(),
    };
    table.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}
