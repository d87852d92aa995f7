//! What differs between the settings of runs and the published ones.

use crate::config::Config;
use hgad_datasets::Protocol;
use hgad_flows::Permutation;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Settings that change no figure, or only where files are and what is shown. Seeds are a run's own.
const WITHOUT_EFFECT: [&str; 21] = [
    "about",
    "backbone.weights",
    "cache.dir",
    // Of images held out `calibration.share` says enough, and thresholds are not compared here.
    "calibration.false_alarm_rate",
    "calibration.minimum",
    "calibration.none_rate",
    "data.root",
    "data.set",
    "device",
    "eval.aupro_limit",
    "maps.per_class",
    "name",
    "report.enabled",
    "report.gallery",
    "report.vectors",
    "run.backbone_weights",
    "run.dir",
    "run.tensorboard",
    "seed",
    "train.checkpoint_seconds",
    "train.chunk",
];

/// A setting that is not the same everywhere.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Section and key.
    pub key: String,
    /// The published value, where numbers are published.
    pub published: Option<Value>,
    /// The value of each run.
    pub runs: Vec<Value>,
}

impl Difference {
    /// Whether run `i` has another value than the published.
    pub fn differs(&self, i: usize) -> bool {
        self.published.as_ref().is_some_and(|p| self.runs.get(i) != Some(p))
    }
}

/// The published settings on the data set of `of`: the defaults, which are the paper's, with what
/// the descriptor says.
pub(super) fn published(of: &Config, protocol: &Protocol) -> Config {
    let mut config = Config::default();
    config.data.set = of.data.set.clone();
    config.data.img_size = protocol.img_size;
    config.backbone.kind = protocol.backbone.clone();
    // They train on all images.
    config.calibration.share = 0.0;
    // What a run is of data of its own is no difference to a published setting.
    config.data.synthetic = of.data.synthetic.clone();
    config
}

/// Settings that count and are not the same in all of `runs` and `published`.
pub(super) fn differences(published: Option<&Config>, runs: &[&Config]) -> Vec<Difference> {
    let reference = published.map(flat);
    let runs: Vec<BTreeMap<String, Value>> = runs.iter().map(|c| flat(c)).collect();
    let mut keys: Vec<&String> = reference.iter().chain(&runs).flat_map(BTreeMap::keys).collect();
    keys.sort();
    keys.dedup();
    let value =
        |of: &BTreeMap<String, Value>, key: &String| of.get(key).cloned().unwrap_or_default();
    keys.into_iter()
        .filter(|key| !WITHOUT_EFFECT.contains(&key.as_str()))
        .map(|key| Difference {
            key: key.clone(),
            published: reference.as_ref().map(|r| value(r, key)),
            runs: runs.iter().map(|r| value(r, key)).collect(),
        })
        .filter(|d| {
            let mut all = d.published.iter().chain(&d.runs);
            let first = all.next();
            all.any(|v| Some(v) != first)
        })
        .collect()
}

/// `section.key` to value.
fn flat(config: &Config) -> BTreeMap<String, Value> {
    let mut config = config.clone();
    // What an empty rule stands for.
    if config.score.rule.is_empty() {
        let single = config.prior.kind == "single";
        config.score.rule = if single { "likelihood" } else { "product" }.into();
    }
    // What an empty permutation stands for.
    if config.flow.permutation.is_empty()
        && let Some(usual) = Permutation::usual(&config.flow.kind)
    {
        config.flow.permutation = usual.name().into();
    }
    let mut out = BTreeMap::new();
    let mut open = vec![(String::new(), serde_json::to_value(&config).unwrap_or_default())];
    while let Some((name, value)) = open.pop() {
        match value {
            Value::Object(entries) => {
                open.extend(entries.into_iter().map(|(key, v)| match name.as_str() {
                    "" => (key, v),
                    name => (format!("{name}.{key}"), v),
                }))
            }
            value => {
                out.insert(name, value);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::compose;
    use hgad_datasets::Descriptor;

    #[test]
    fn shipped_experiments_are_the_published_settings() {
        for (set, experiment) in [
            ("mvtec", "hgad-mvtec"),
            ("btad", "hgad-btad"),
            ("visa", "hgad-visa"),
            ("mvtec3d", "hgad-mvtec3d"),
            ("union", "hgad-union"),
        ] {
            let ours = compose(experiment, &[]).unwrap();
            let protocol = Descriptor::by_name(set).unwrap().protocol.unwrap();
            let theirs = published(&ours, &protocol);
            assert_eq!(differences(Some(&theirs), &[&ours]), [], "{set}");
            assert_eq!(theirs.train.epochs * theirs.train.passes, protocol.passes);
        }
    }

    #[test]
    fn only_what_counts_differs() {
        let set = |s: &[&str]| {
            compose("hgad-mvtec", &s.iter().map(|s| s.to_string()).collect::<Vec<_>>()).unwrap()
        };
        let (a, b) = (set(&["seed=3", "score.rule=product"]), set(&["flow.blocks=8", "run.dir=x"]));
        let protocol = Descriptor::by_name("mvtec").unwrap().protocol.unwrap();
        let all = differences(Some(&published(&a, &protocol)), &[&a, &b]);
        assert_eq!(all.len(), 1, "{all:?}");
        assert_eq!(
            (all[0].key.as_str(), all[0].differs(0), all[0].differs(1)),
            ("flow.blocks", false, true)
        );
        assert_eq!(differences(None, &[&a]), []);
    }

    #[test]
    fn a_permutation_that_is_named_is_the_one_that_is_meant() {
        let set = |s: &[&str]| {
            compose("hgad-mvtec", &s.iter().map(|s| s.to_string()).collect::<Vec<_>>()).unwrap()
        };
        let protocol = Descriptor::by_name("mvtec").unwrap().protocol.unwrap();
        let soft = set(&["flow.permutation=soft"]);
        assert_eq!(differences(Some(&published(&soft, &protocol)), &[&soft]), []);
        let keys = |a: &[&str], b: &[&str]| -> Vec<String> {
            differences(None, &[&set(a), &set(b)]).into_iter().map(|d| d.key).collect()
        };
        assert_eq!(keys(&[], &["flow.permutation=hard"]), ["flow.permutation"]);
        for (kind, usual) in [("glow", "lu"), ("spline", "lu"), ("nice", "hard")] {
            let kind = format!("flow.kind={kind}");
            let named = format!("flow.permutation={usual}");
            assert!(keys(&[&kind], &[&kind, &named]).is_empty(), "{kind} {named}");
            let both = ["flow.kind", "flow.permutation"];
            assert_eq!(keys(&[], &[&kind]), both, "{kind} mixes in another way than coupling");
        }
    }
}
