//! From the name of an experiment and some overrides to its configuration.

use crate::config::Config;
use crate::error::ExperimentError;
use include_dir::{Dir, include_dir};
use std::path::{Path, PathBuf};
use toml::{Table, Value};

static EXPERIMENTS: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../experiments");
static PIECES: Dir = include_dir!("$CARGO_MANIFEST_DIR/../../configs");

/// The configuration of experiment `name` (a file below `experiments/` here, one that came with
/// the program, or the path of a TOML file) with `overrides` like `prior.centers=5` applied last.
///
/// # Errors
/// An unknown experiment or piece, invalid TOML, an unknown key, a value of another type.
pub fn compose(name: &str, overrides: &[String]) -> Result<Config, ExperimentError> {
    compose_with(name, overrides, Table::new())
}

/// As [`compose`], with the settings of `over` on top of everything.
///
/// # Errors
/// As [`compose`].
pub fn compose_with(
    name: &str,
    overrides: &[String],
    over: Table,
) -> Result<Config, ExperimentError> {
    let mut table = load(name, "experiments", &EXPERIMENTS, &mut Vec::new())?;
    if !table.contains_key("name") {
        table.insert("name".into(), Value::String(stem(name).into()));
    }
    for text in overrides {
        set(&mut table, text)?;
    }
    merge(&mut table, over);
    let config: Config = table.try_into().map_err(|e: toml::de::Error| {
        ExperimentError::Config { origin: name.into(), reason: e.to_string().trim().into() }
    })?;
    crate::validate::validate(&config)?;
    Ok(config)
}

/// The last part of a name that may be a path, without its extension.
pub(crate) fn stem(name: &str) -> &str {
    Path::new(name).file_stem().and_then(|s| s.to_str()).unwrap_or(name)
}

/// The experiments that came with the program, by name, with their `about` line.
pub fn experiments() -> Vec<(String, String)> {
    shipped(|name| !name.starts_with(ABLATION)).collect()
}

/// The ablations that came with the program, by name, with their `about` line.
pub fn ablations() -> Vec<(String, String)> {
    let all = shipped(|name| name.starts_with(ABLATION));
    all.map(|(name, about)| (name[ABLATION.len()..].to_string(), about)).collect()
}

/// What the names of files of ablations begin with.
const ABLATION: &str = "ablation-";

fn shipped(which: impl Fn(&str) -> bool) -> impl Iterator<Item = (String, String)> {
    let toml = EXPERIMENTS.files().filter(|f| f.path().extension().is_some_and(|e| e == "toml"));
    let mut all: Vec<_> = toml
        .filter_map(|f| {
            let name = f.path().file_stem()?.to_str()?.to_string();
            let table: Table = f.contents_utf8()?.parse().ok()?;
            let about = table.get("about").and_then(Value::as_str).unwrap_or("").to_string();
            which(&name).then_some((name, about))
        })
        .collect();
    all.sort();
    all.into_iter()
}

/// The text of ablation `name` (`experiments/ablation-NAME.toml` here or shipped, or the path of
/// a TOML file), and where it is from.
///
/// # Errors
/// There is none.
pub(crate) fn ablation_text(name: &str) -> Result<(String, String), ExperimentError> {
    if name.ends_with(".toml") || name.starts_with(ABLATION) {
        return read(name, "experiments", &EXPERIMENTS);
    }
    read(&format!("{ABLATION}{name}"), "experiments", &EXPERIMENTS).map_err(|e| match e {
        ExperimentError::UnknownName { looked, .. } => ExperimentError::UnknownName {
            what: "ablation",
            name: name.into(),
            looked,
            known: ablations().into_iter().map(|(n, _)| n).collect::<Vec<_>>().join(", "),
        },
        e => e,
    })
}

/// The table of `name` with everything it extends merged under it.
fn load(
    name: &str,
    folder: &str,
    shipped: &Dir,
    seen: &mut Vec<String>,
) -> Result<Table, ExperimentError> {
    if seen.iter().any(|s| s == name) {
        let reason = format!("it extends itself: {} -> {name}", seen.join(" -> "));
        return Err(ExperimentError::Config { origin: name.into(), reason });
    }
    seen.push(name.into());
    let (text, origin) = read(name, folder, shipped)?;
    let mut table: Table = text.parse().map_err(|e: toml::de::Error| ExperimentError::Config {
        origin,
        reason: e.to_string().trim().into(),
    })?;
    let bases = match table.remove("extends") {
        None => Vec::new(),
        Some(Value::Array(names)) => names
            .into_iter()
            .map(|n| match n {
                Value::String(s) => Ok(s),
                other => Err(extends_error(name, &other)),
            })
            .collect::<Result<_, _>>()?,
        Some(other) => return Err(extends_error(name, &other)),
    };
    let mut merged = Table::new();
    for base in bases {
        // `backbone/lite0` is a piece; a name without a slash is another experiment.
        let piece = base.contains('/');
        let (folder, shipped) =
            if piece { ("configs", &PIECES) } else { ("experiments", &EXPERIMENTS) };
        let mut below = load(&base, folder, shipped, seen)?;
        if !piece {
            below.remove("name");
        }
        merge(&mut merged, below);
    }
    merge(&mut merged, table);
    seen.pop();
    Ok(merged)
}

fn extends_error(name: &str, found: &Value) -> ExperimentError {
    let reason = format!("`extends` is a list of names, found {found}");
    ExperimentError::Config { origin: name.into(), reason }
}

fn read(name: &str, folder: &str, shipped: &Dir) -> Result<(String, String), ExperimentError> {
    let as_path = Path::new(name);
    let on_disk = if as_path.extension().is_some_and(|e| e == "toml") {
        as_path.to_path_buf()
    } else {
        PathBuf::from(folder).join(format!("{name}.toml"))
    };
    if on_disk.is_file() {
        let text = std::fs::read_to_string(&on_disk)
            .map_err(|e| ExperimentError::io("read", &on_disk, e))?;
        return Ok((text, on_disk.display().to_string()));
    }
    let file = shipped.get_file(format!("{name}.toml")).and_then(|f| f.contents_utf8());
    match file {
        Some(text) => Ok((text.into(), format!("{folder}/{name}.toml (shipped)"))),
        None => Err(ExperimentError::UnknownName {
            what: if folder == "configs" { "piece" } else { "experiment" },
            name: name.into(),
            looked: on_disk,
            known: known(shipped, folder == "experiments"),
        }),
    }
}

fn known(dir: &Dir, experiments: bool) -> String {
    fn collect(dir: &Dir, names: &mut Vec<String>) {
        let files = dir.files().map(|f| f.path().with_extension("").display().to_string());
        names.extend(files);
        dir.dirs().for_each(|d| collect(d, names));
    }
    let mut names = Vec::new();
    collect(dir, &mut names);
    names.retain(|n| !(experiments && n.starts_with(ABLATION)));
    names.sort();
    names.join(", ")
}

/// `over` on top of `base`, table by table.
pub(crate) fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(b)), Value::Table(o)) => merge(b, o),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Applies one `section.key=value`. What is not a TOML value is taken as a string.
pub(crate) fn set(table: &mut Table, text: &str) -> Result<(), ExperimentError> {
    let wrong =
        |reason: &str| ExperimentError::Override { text: text.into(), reason: reason.into() };
    let (key, value) = text.split_once('=').ok_or_else(|| wrong("expected KEY=VALUE"))?;
    let value = value.trim();
    let value = match format!("v = {value}").parse::<Table>() {
        Ok(mut t) if t.len() == 1 => t.remove("v").unwrap_or(Value::String(value.into())),
        _ => Value::String(value.into()),
    };
    insert(table, key.trim(), value).map_err(|e| wrong(&e))
}

/// Puts `value` where `key`, with a dot between tables, says.
pub(crate) fn insert(table: &mut Table, key: &str, value: Value) -> Result<(), String> {
    let mut path: Vec<&str> = key.split('.').collect();
    let last = path.pop().filter(|k| !k.is_empty()).ok_or("the key is empty")?;
    let mut at = table;
    for part in path {
        let entry = at.entry(part.to_string()).or_insert_with(|| Value::Table(Table::new()));
        at = entry.as_table_mut().ok_or("the key goes through a value")?;
    }
    at.insert(last.into(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_experiment_composes() {
        let all = experiments();
        assert!(all.len() >= 7, "{all:?}");
        for (name, about) in all {
            let config = compose(&name, &[]).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(config.name, name);
            assert!(!about.is_empty(), "{name} has no `about`");
        }
    }

    #[test]
    fn paper_settings_are_the_default() {
        let c = compose("hgad-mvtec", &[]).unwrap();
        assert_eq!(
            (c.data.img_size, c.train.epochs, c.train.passes, c.train.batch),
            (1024, 25, 8, 8)
        );
        assert_eq!((c.backbone.kind.as_str(), c.backbone.pyramid), ("tf_efficientnet_b6", 3));
        assert_eq!((c.flow.blocks, c.flow.condition, c.prior.centers), (12, 256, 10));
        assert_eq!(c.loss, crate::config::LossConfig::default());
        assert_eq!(c.loss.mutual_information, crate::config::TermWeight::Usual(100.0));
    }

    #[test]
    fn overrides_reach_any_key_and_unknown_ones_are_refused() {
        let over = |s: &[&str]| {
            compose("hgad-mvtec", &s.iter().map(|s| s.to_string()).collect::<Vec<_>>())
        };
        let c =
            over(&["prior.kind=single", "train.rate=1e-3", "seed=7", "data.root=/a b"]).unwrap();
        assert_eq!((c.prior.kind.as_str(), c.train.rate, c.seed), ("single", 1e-3, 7));
        assert_eq!(c.data.root, Path::new("/a b"));
        assert_eq!(over(&["train.rate=1"]).unwrap().train.rate, 1.0);
        for (bad, word) in [
            ("prior.centres=5", "centres"),
            ("train.epochs=many", "epochs"),
            ("train.epochs=0", "train.epochs"),
            ("nonsense", "KEY=VALUE"),
        ] {
            let message = over(&[bad]).unwrap_err().to_string();
            assert!(message.contains(word), "{bad}: {message}");
        }
        let message = compose("hgad-mvtek", &[]).unwrap_err().to_string();
        assert!(message.contains("hgad-mvtec"), "{message}");
    }
}
