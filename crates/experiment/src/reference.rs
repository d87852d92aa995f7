//! The reference of all settings, from the types that hold them.

use crate::config::Config;
use serde_json::Value;

/// The JSON Schema of an experiment's file without `extends`: what an editor needs to complete and
/// check one.
pub fn schema() -> Value {
    let mut schema = schemars::schema_for!(Config).to_value();
    // Not a field: it is read before the settings are.
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.insert(
            "extends".into(),
            serde_json::json!({
                "description": "Pieces of `configs/` that come first, such as `flow/conditional`.",
                "type": "array",
                "items": { "type": "string" }
            }),
        );
    }
    schema
}

/// Every setting with its default and what it means, as Markdown: one table a section, in the
/// order of the types.
pub fn reference() -> String {
    let schema = schemars::schema_for!(Config).to_value();
    let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
    let mut out = String::from(HEAD);
    section(&mut out, &schema, &schema, &defaults, "");
    out
}

const HEAD: &str = "# Settings

This page is made from the types that hold the settings by `hgad config --reference`; a test fails
where it is stale. `hgad config NAME` prints an experiment with every key resolved, `--set
SECTION.KEY=VALUE` overrides one, and `hgad config --schema` prints a JSON Schema for editors.

An experiment's file may begin with `extends = [\"flow/conditional\", ...]`: those pieces of `configs/`
come first, in order, and the file's own keys over them. Unknown keys are refused.
";

/// The keys of `schema` that are no sections, as a table, then its sections.
fn section(out: &mut String, root: &Value, schema: &Value, defaults: &Value, path: &str) {
    let empty = serde_json::Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    let title = if path.is_empty() { "Top level".into() } else { format!("`[{path}]`") };
    *out += &format!("\n## {title}\n");
    if !path.is_empty()
        && let Some(about) = about(schema)
    {
        *out += &format!("\n{about}\n");
    }
    *out += "\n| key | default | what |\n|---|---|---|\n";
    let mut sections = Vec::new();
    for (key, property) in properties {
        let of_type = resolve(root, property);
        if of_type["properties"].is_object() {
            sections.push((key, of_type));
            continue;
        }
        let what = property["description"].as_str().unwrap_or_default();
        *out += &format!("| `{key}` | {} | {} |\n", default(&defaults[key]), cell(what));
    }
    for (key, of_type) in sections {
        let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        section(out, root, of_type, &defaults[key], &inner);
    }
}

/// What a section's doc says beside its own name.
fn about(schema: &Value) -> Option<String> {
    let text = schema["description"].as_str()?;
    // The doc of a section begins with its name, which the heading has.
    let rest = text.split_once(']').map_or(text, |(_, rest)| rest);
    let rest = rest.trim_start_matches(['`', ':', ' ']).trim();
    (!rest.is_empty()).then(|| rest.replace('\n', " "))
}

/// The definition that a property refers to, or itself.
fn resolve<'a>(root: &'a Value, property: &'a Value) -> &'a Value {
    let reference = property["$ref"].as_str().or_else(|| property["allOf"][0]["$ref"].as_str());
    match reference.and_then(|r| root.pointer(r.trim_start_matches('#'))) {
        Some(definition) => definition,
        None => property,
    }
}

/// A default as TOML writes it.
fn default(value: &Value) -> String {
    match value {
        Value::String(s) if s.is_empty() => "empty".into(),
        Value::Object(map) if map.is_empty() => "none".into(),
        // TOML has no exponent without a sign for the reader; JSON's shortest form is as good.
        v => format!("`{v}`"),
    }
}

/// Text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_in_the_docs_is_that_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/configuration.md");
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == reference(),
            "docs/configuration.md is stale: cargo run --release -- config --reference > docs/configuration.md"
        );
    }

    #[test]
    fn every_key_is_described_with_its_default() {
        let page = reference();
        assert!(page.contains("## `[data.synthetic]`"));
        assert!(page.contains("| `rate` | `0.0002` |"), "{page}");
        let keys = page.lines().filter(|l| l.starts_with("| `")).count();
        let leaves = leaves(&serde_json::to_value(Config::default()).unwrap());
        assert_eq!(keys, leaves);
        assert!(!page.lines().any(|l| l.starts_with("| `") && l.ends_with("|  |")), "{page}");
    }

    /// Settings that are no sections; an empty table is one setting.
    fn leaves(value: &Value) -> usize {
        match value {
            Value::Object(map) if !map.is_empty() => map.values().map(leaves).sum(),
            _ => 1,
        }
    }

    #[test]
    fn the_schema_accepts_extends_and_refuses_what_is_unknown() {
        let schema = schema();
        assert!(schema["properties"]["extends"].is_object());
        assert_eq!(schema["additionalProperties"], Value::Bool(false));
    }
}
