//! `experiments/ablation-NAME.toml`: what is compared.

use crate::compose;
use crate::error::ExperimentError;
use serde::Deserialize;
use toml::{Table, Value};

/// An ablation as its file has it, variants in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Its name, without `ablation-`.
    pub name: String,
    /// One line on what is asked.
    pub about: String,
    /// The experiment that every variant starts from.
    pub base: String,
    /// What all variants set on top of it.
    pub set: Table,
    /// Name of the variant that the others are compared with.
    pub reference: String,
    /// Seeds that every variant is run with.
    pub seeds: Vec<u64>,
    /// What is compared.
    pub variants: Vec<Variant>,
}

/// One variant.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Its name in the table, and of its folder.
    pub name: String,
    /// What it sets on top of the base, as tables of a configuration.
    #[serde(default)]
    pub set: Table,
}

/// The file, key by key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    about: String,
    base: String,
    #[serde(default)]
    set: Table,
    #[serde(default)]
    reference: String,
    #[serde(default = "one_seed")]
    seeds: Vec<u64>,
    #[serde(default)]
    variants: Vec<Variant>,
    #[serde(default)]
    grid: Table,
}

fn one_seed() -> Vec<u64> {
    vec![0]
}

impl Spec {
    /// The ablation `name`: `experiments/ablation-NAME.toml` here, one that came with the program,
    /// or the path of a TOML file.
    ///
    /// # Errors
    /// There is none, or it is not valid.
    pub fn read(name: &str) -> Result<Self, ExperimentError> {
        let (text, origin) = compose::ablation_text(name)?;
        let stem = compose::stem(name);
        Self::parse(stem.strip_prefix("ablation-").unwrap_or(stem), &text, &origin)
    }

    /// The ablation in `text`.
    ///
    /// # Errors
    /// Unknown keys; no variants; names that are no folder's, or given twice.
    pub fn parse(name: &str, text: &str, origin: &str) -> Result<Self, ExperimentError> {
        let wrong = |reason: String| ExperimentError::Config { origin: origin.into(), reason };
        let file: File = toml::from_str(text).map_err(|e| wrong(e.to_string().trim().into()))?;
        let mut variants = file.variants;
        variants.extend(grid(&file.grid).map_err(wrong)?);
        let named = |n: &str| variants.iter().any(|v| v.name == n);
        let reference = match file.reference {
            r if r.is_empty() => variants.first().map(|v| v.name.clone()).unwrap_or_default(),
            r if named(&r) => r,
            r => return Err(wrong(format!("`reference` names `{r}`, which is no variant"))),
        };
        if variants.is_empty() {
            return Err(wrong("it has neither [[variants]] nor a [grid]".into()));
        }
        if file.seeds.is_empty() {
            return Err(wrong("`seeds` is empty; give at least one, such as [0]".into()));
        }
        for (i, v) in variants.iter().enumerate() {
            let safe = |c: char| c.is_ascii_alphanumeric() || "-_.+=,".contains(c);
            if v.name.is_empty() || v.name.starts_with('.') || !v.name.chars().all(safe) {
                let why = "a name is of letters, digits and - _ . + = , since a folder has it";
                return Err(wrong(format!("variant `{}`: {why}", v.name)));
            }
            if variants[..i].iter().any(|w| w.name == v.name) {
                return Err(wrong(format!("two variants are named `{}`", v.name)));
            }
        }
        let (about, base, set, seeds) = (file.about, file.base, file.set, file.seeds);
        Ok(Self { name: name.into(), about, base, set, reference, seeds, variants })
    }
}

/// Every combination of the values of a grid's keys, the last key running fastest; a variant is
/// named by its values, `blocks=4,condition=0`.
fn grid(keys: &Table) -> Result<Vec<Variant>, String> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut all = vec![Variant { name: String::new(), set: Table::new() }];
    for (key, values) in keys {
        let values = values.as_array().filter(|v| !v.is_empty()).ok_or_else(|| {
            format!("grid key `{key}`: expected a list of values, found {values}; write the key in quotes, \"flow.blocks\" = [4, 8]")
        })?;
        all = all
            .iter()
            .flat_map(|before| values.iter().map(move |value| (before, value)))
            .map(|(before, value)| {
                let mut next = before.clone();
                let short = key.rsplit('.').next().unwrap_or(key);
                let comma = if next.name.is_empty() { "" } else { "," };
                next.name += &format!("{comma}{short}={}", plain(value));
                compose::insert(&mut next.set, key, value.clone())?;
                Ok(next)
            })
            .collect::<Result<_, String>>()?;
    }
    Ok(all)
}

/// A value as a part of a name.
fn plain(value: &Value) -> String {
    let text = match value {
        Value::String(s) => s.clone(),
        v => v.to_string(),
    };
    text.chars().filter(|c| !c.is_whitespace() && !"[]\"".contains(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_every_combination_the_last_key_fastest() {
        let text = "base = \"demo\"\n[grid]\n\"flow.blocks\" = [4, 8]\n\"prior.kind\" = [\"single\", \"mixture\"]\n\"train.betas\" = [[0.9, 0.99]]";
        let spec = Spec::parse("x", text, "x").unwrap();
        let names: Vec<&str> = spec.variants.iter().map(|v| v.name.as_str()).collect();
        assert_eq!(names[0], "blocks=4,kind=single,betas=0.9,0.99");
        assert_eq!(names[1], "blocks=4,kind=mixture,betas=0.9,0.99");
        assert_eq!(names.len(), 4);
        assert_eq!(spec.variants[2].set["flow"]["blocks"].as_integer(), Some(8));
        assert_eq!(spec.reference, names[0]);
        assert_eq!(spec.seeds, [0]);
    }

    #[test]
    fn what_is_no_ablation_is_refused_by_name() {
        for (text, word) in [
            ("base = \"demo\"", "[[variants]]"),
            ("base = \"demo\"\nseads = [1]\n[[variants]]\nname = \"a\"", "seads"),
            ("base = \"demo\"\n[[variants]]\nname = \"a/b\"", "a/b"),
            ("base = \"demo\"\n[[variants]]\nname = \"..\"", ".."),
            ("base = \"demo\"\n[[variants]]\nname = \"a\"\n[[variants]]\nname = \"a\"", "two"),
            ("base = \"demo\"\nreference = \"b\"\n[[variants]]\nname = \"a\"", "`b`"),
            ("base = \"demo\"\nseeds = []\n[[variants]]\nname = \"a\"", "seeds"),
            ("base = \"demo\"\n[grid]\nblocks = 4", "blocks"),
            ("[[variants]]\nname = \"a\"", "base"),
        ] {
            let message = Spec::parse("x", text, "x.toml").unwrap_err().to_string();
            assert!(message.contains(word) && message.contains("x.toml"), "{text}: {message}");
        }
    }

    #[test]
    fn every_shipped_ablation_reads() {
        let all = crate::ablations();
        assert!(!all.is_empty());
        for (name, about) in all {
            let spec = Spec::read(&name).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(!about.is_empty() && spec.variants.len() > 1, "{name}");
        }
        let message = Spec::read("no-such").unwrap_err().to_string();
        assert!(message.contains("priors"), "{message}");
    }
}
