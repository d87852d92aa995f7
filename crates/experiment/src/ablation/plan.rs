//! The runs that an ablation asks for.

use super::spec::{Spec, Variant};
use crate::compose::{compose_with, merge, set};
use crate::config::Config;
use crate::error::ExperimentError;
use std::path::PathBuf;
use toml::{Table, Value};

/// What is asked beside the file.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Another base than the file's.
    pub base: Option<String>,
    /// Settings for all variants, like `train.epochs=12`.
    pub set: Vec<String>,
    /// Other seeds than the file's.
    pub seeds: Option<Vec<u64>>,
    /// Names of the variants to run; empty for all.
    pub only: Vec<String>,
}

/// One run of one variant.
#[derive(Clone, Debug)]
pub struct PlannedRun {
    /// Index of its variant in the plan.
    pub variant: usize,
    /// All of its settings; its name is `ablation-NAME/VARIANT`.
    pub config: Config,
}

/// Every run of an ablation, all settings checked.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is compared.
    pub spec: Spec,
    /// Seed by seed, so that a table of all variants is there early.
    pub runs: Vec<PlannedRun>,
}

impl Plan {
    /// The runs of `spec` as `request` wants them.
    ///
    /// # Errors
    /// Settings that make no experiment; a name that no variant has; a setting for all that a
    /// variant sets for itself.
    pub fn new(mut spec: Spec, request: &Request) -> Result<Self, ExperimentError> {
        if let Some(base) = &request.base {
            spec.base = base.clone();
        }
        if let Some(seeds) = &request.seeds {
            let mut once = seeds.clone();
            once.sort_unstable();
            once.dedup();
            if once.len() != seeds.len() || seeds.is_empty() {
                let reason = "expected different numbers, such as 0,1,2".to_string();
                let value = format!("{seeds:?}");
                return Err(ExperimentError::Setting { key: "--seeds", value, reason });
            }
            spec.seeds = seeds.clone();
        }
        choose(&mut spec, &request.only)?;
        for text in &request.set {
            refuse_contested(text, &spec.variants)?;
        }
        let mut runs = Vec::new();
        for &seed in &spec.seeds {
            for (variant, v) in spec.variants.iter().enumerate() {
                runs.push(PlannedRun { variant, config: config(&spec, v, seed, &request.set)? });
            }
        }
        Ok(Self { spec, runs })
    }

    /// Where the table is written: `run.dir/ablation-NAME`.
    pub fn folder(&self) -> PathBuf {
        let dir = self.runs.first().map(|r| r.config.run.dir.clone()).unwrap_or_default();
        dir.join(format!("ablation-{}", self.spec.name))
    }
}

fn config(
    spec: &Spec,
    variant: &Variant,
    seed: u64,
    overrides: &[String],
) -> Result<Config, ExperimentError> {
    let mut over = spec.set.clone();
    for text in overrides {
        set(&mut over, text)?;
    }
    merge(&mut over, variant.set.clone());
    let text = |s: String| Value::String(s);
    over.insert("name".into(), text(format!("ablation-{}/{}", spec.name, variant.name)));
    over.insert("about".into(), text(format!("variant {} of {}", variant.name, spec.name)));
    over.insert("seed".into(), Value::Integer(seed as i64));
    compose_with(&spec.base, &[], over).map_err(|e| match e {
        // Which variant is at fault, where only one of them may be.
        ExperimentError::Config { origin, reason } => ExperimentError::Config {
            origin: format!("variant {} of {origin}", variant.name),
            reason,
        },
        e => e,
    })
}

/// Keeps the variants of those names.
fn choose(spec: &mut Spec, only: &[String]) -> Result<(), ExperimentError> {
    if only.is_empty() {
        return Ok(());
    }
    if let Some(unknown) = only.iter().find(|o| !spec.variants.iter().any(|v| v.name == **o)) {
        let names: Vec<&str> = spec.variants.iter().map(|v| v.name.as_str()).collect();
        let reason = format!("no variant has that name; they are {}", names.join(", "));
        return Err(ExperimentError::Setting { key: "--only", value: unknown.clone(), reason });
    }
    spec.variants.retain(|v| only.contains(&v.name));
    if !only.contains(&spec.reference) {
        spec.reference = spec.variants[0].name.clone();
    }
    Ok(())
}

/// A setting for all variants must not be one that they differ in: it would be without effect.
fn refuse_contested(text: &str, variants: &[Variant]) -> Result<(), ExperimentError> {
    let mut asked = Table::new();
    set(&mut asked, text)?;
    let contested = variants.iter().find(|v| overlap(&asked, &v.set));
    match contested {
        None if asked.contains_key("seed") => Err(ExperimentError::Override {
            text: text.into(),
            reason: "give the seeds of an ablation with --seeds 0,1,2".into(),
        }),
        None => Ok(()),
        Some(v) => Err(ExperimentError::Override {
            text: text.into(),
            reason: format!(
                "variant {} sets that itself; leave variants out with --only, or write an ablation of your own",
                v.name
            ),
        }),
    }
}

/// Whether a value of `a` has its place in `b` too.
fn overlap(a: &Table, b: &Table) -> bool {
    a.iter().any(|(key, value)| match (value, b.get(key)) {
        (_, None) => false,
        (Value::Table(a), Some(Value::Table(b))) => overlap(a, b),
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> Spec {
        let text = "base = \"demo\"\nset = { eval.every = 0, train.rate = 1e-3 }\nreference = \"b\"\nseeds = [3, 4]\n\
                    [[variants]]\nname = \"a\"\nset.prior.kind = \"single\"\n[[variants]]\nname = \"b\"";
        Spec::parse("x", text, "x").unwrap()
    }

    fn request(set: &[&str], only: &[&str]) -> Request {
        let strings = |s: &[&str]| s.iter().map(|s| s.to_string()).collect();
        Request { set: strings(set), only: strings(only), ..Request::default() }
    }

    #[test]
    fn the_variant_is_above_the_request_is_above_the_file_is_above_the_base() {
        let plan =
            Plan::new(spec(), &request(&["train.rate=2e-3", "train.epochs=2"], &[])).unwrap();
        let of = |i: usize| &plan.runs[i].config;
        assert_eq!(plan.runs.len(), 4);
        assert_eq!((of(0).seed, of(1).seed, of(2).seed), (3, 3, 4));
        assert_eq!((of(0).name.as_str(), of(1).name.as_str()), ("ablation-x/a", "ablation-x/b"));
        assert_eq!(
            (of(0).prior.kind.as_str(), of(1).prior.kind.as_str()),
            ("single", "hierarchical")
        );
        assert_eq!((of(0).train.rate, of(0).train.epochs, of(0).eval.every), (2e-3, 2, 0));
        assert_eq!(of(0).flow.blocks, 8, "the demo's");
    }

    #[test]
    fn a_request_without_effect_is_refused() {
        for (set, only, word) in [
            ("prior.kind=mixture", "", "--only"),
            ("seed=4", "", "--seeds"),
            ("train.epochs=0", "", "train.epochs"),
            ("train.epoch=1", "", "variant a"),
            ("train.epochs=1", "c", "a, b"),
        ] {
            let only: Vec<&str> = [only].into_iter().filter(|o| !o.is_empty()).collect();
            let message = Plan::new(spec(), &request(&[set], &only)).unwrap_err().to_string();
            assert!(message.contains(word), "{set}: {message}");
        }
        let twice = Request { seeds: Some(vec![1, 1]), ..Request::default() };
        assert!(Plan::new(spec(), &twice).unwrap_err().to_string().contains("--seeds"));
    }

    #[test]
    fn a_part_has_a_reference_of_its_own() {
        let plan = Plan::new(spec(), &request(&["prior.kind=mixture"], &["b"])).unwrap();
        assert_eq!((plan.runs.len(), plan.spec.reference.as_str()), (2, "b"));
        let plan = Plan::new(spec(), &request(&[], &["a"])).unwrap();
        assert_eq!(plan.spec.reference, "a");
    }
}
