//! A report of what a run left.

use crate::config::Config;
use crate::data::descriptor;
use crate::metrics_log::PassRecord;
use crate::results::{Metrics, Results, Seconds};
use hgad_datasets::{Descriptor, PublishedResult};
use hgad_report::{BestPass, Metric, Pass, Report, ScoreRow, ScoreTable, Training};

/// Columns in the order of [`Metrics::values`].
const METRICS: [(&str, &str); 7] = [
    ("image AUROC", "Area under the ROC curve of image scores"),
    ("pixel AUROC", "Area under the ROC curve of pixel scores"),
    ("image AP", "Average precision of image scores"),
    ("pixel AP", "Average precision of pixel scores"),
    ("image F1", "Largest F1 of image scores over thresholds"),
    ("pixel F1", "Largest F1 of pixel scores over thresholds"),
    (
        "AUPRO",
        "Area under the per-region overlap curve up to the false positive rate eval.aupro_limit",
    ),
];

/// All that `results` and `passes` tell; charts and pictures are left empty.
pub fn assemble(results: &Results, passes: &[PassRecord]) -> Report {
    let config = &results.settings;
    let set = descriptor(&config.data.set).ok();
    Report {
        schema: hgad_report::SCHEMA,
        name: results.name.clone(),
        id: results.id.clone(),
        about: config.about.clone(),
        data_set: set.as_ref().map_or(config.data.set.clone(), |d| d.title.clone()),
        facts: facts(results),
        // Published numbers are of the test images.
        scores: scores(results, set.as_ref().filter(|_| config.eval.on == "test")),
        training: training(config, passes),
        map_size: config.data.mask_size,
        settings: settings(config),
        versions: versions(results),
        seconds: seconds(&results.seconds),
        ..Default::default()
    }
}

fn facts(r: &Results) -> Vec<(String, String)> {
    let c = &r.settings;
    let mut facts = vec![
        ("classes".to_string(), r.classes.len().to_string()),
        ("training images".into(), r.train_images.to_string()),
        (
            match c.eval.on.as_str() {
                "pasted" => "held-out images and copies with pasted anomalies".into(),
                _ => "test images".into(),
            },
            r.test_images.to_string(),
        ),
        ("backbone".into(), format!("{}, {} px", c.backbone.kind, c.data.img_size)),
        ("prior".into(), c.prior.kind.clone()),
        ("parameters".into(), format!("{:.1} million", r.parameters as f64 / 1e6)),
        ("passes".into(), r.passes.to_string()),
        ("seed".into(), c.seed.to_string()),
    ];
    if let Some(share) = r.class_accuracy {
        facts.push(("class inferred rightly".into(), format!("{:.1} %", 100.0 * share)));
    }
    facts
}

fn scores(r: &Results, set: Option<&Descriptor>) -> ScoreTable {
    let classes = set.and_then(|d| d.expected_classes().ok()).unwrap_or_default();
    let published = |class: &str| classes.iter().find(|c| c.name == class)?.published;
    let row = |name: &str, m: &Metrics, published: Option<PublishedResult>| ScoreRow {
        name: name.into(),
        values: m.values().to_vec(),
        published: match published {
            Some(p) => vec![Some(p.image_auroc), Some(p.pixel_auroc)],
            None => Vec::new(),
        },
        undefined: m.undefined.clone(),
    };
    let metric = |(title, about): (&str, &str)| Metric { title: title.into(), about: about.into() };
    let mean = set.and_then(|d| d.published);
    ScoreTable {
        metrics: METRICS.into_iter().map(metric).collect(),
        classes: r.classes.iter().map(|(name, m)| row(name, m, published(name))).collect(),
        mean: row("mean", &r.mean, mean),
        best: Some(BestPass {
            pass: r.best_on_test.pass,
            values: r.best_on_test.mean.values().to_vec(),
        }),
    }
}

fn training(c: &Config, passes: &[PassRecord]) -> Training {
    let staged = c.loss.second_stage > 0 && c.loss.second_stage < c.train.epochs;
    let pass = |r: &PassRecord| Pass {
        pass: r.pass,
        loss: r.loss,
        terms: r.terms.clone(),
        rate: r.rate,
        image_auroc: r.image_auroc,
        pixel_auroc: r.pixel_auroc,
    };
    Training {
        passes: passes.iter().map(pass).collect(),
        second_stage: staged.then(|| c.loss.second_stage * c.train.passes + 1),
    }
}

/// Every key of the configuration, as `--set` takes it.
fn settings(c: &Config) -> Vec<(String, String)> {
    let mut out = Vec::new();
    if let Ok(table) = toml::Table::try_from(c) {
        flatten("", &table, &mut out);
    }
    out
}

fn flatten(prefix: &str, table: &toml::Table, out: &mut Vec<(String, String)>) {
    for (key, value) in table {
        match value {
            toml::Value::Table(t) => flatten(&format!("{prefix}{key}."), t, out),
            v => out.push((format!("{prefix}{key}"), v.to_string())),
        }
    }
}

fn versions(r: &Results) -> Vec<(String, String)> {
    let v = &r.versions;
    vec![
        ("hgad".into(), v.hgad.clone()),
        ("kernels".into(), v.isa.clone()),
        ("threads".into(), v.threads.to_string()),
        ("target".into(), v.target.clone()),
        ("device".into(), r.settings.device.clone()),
    ]
}

/// Parts by name, their sum last.
pub fn seconds(s: &Seconds) -> Vec<(String, f64)> {
    vec![
        ("features".into(), s.features),
        ("training".into(), s.training),
        ("evaluation".into(), s.evaluation),
        ("maps".into(), s.maps),
        ("report".into(), s.report),
        ("total".into(), s.total),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Evaluation, Versions};
    use std::collections::BTreeMap;

    fn results(set: &str, class: &str) -> Results {
        let metrics = Metrics { image_auroc: Some(0.75), ..Default::default() };
        let evaluation = Evaluation::new(3, BTreeMap::from([(class.to_string(), metrics)]));
        let mut settings = Config::default();
        settings.data.set = set.into();
        settings.train.passes = 2;
        Results {
            schema: 1,
            name: "n".into(),
            id: "i".into(),
            versions: Versions::here(),
            seconds: Seconds::default(),
            train_images: 1,
            test_images: 2,
            held_out_images: 0,
            deployed: None,
            parameters: 3,
            passes: 4,
            mean: evaluation.mean.clone(),
            classes: evaluation.classes.clone(),
            class_accuracy: None,
            best_on_test: evaluation,
            settings,
        }
    }

    #[test]
    fn published_numbers_stand_beside_those_of_the_same_class() {
        for (set, class, of_class, of_set) in [
            ("btad", "02", Some(0.859), Some(0.949)),
            ("union", "btad/02", Some(0.859), Some(0.935)),
            ("btad", "other", None, Some(0.949)),
            ("synthetic", "board", None, None),
            ("gone.toml", "02", None, None),
        ] {
            let s = assemble(&results(set, class), &[]).scores;
            assert_eq!(
                s.classes[0].published.first().copied().flatten(),
                of_class,
                "{set} {class}"
            );
            assert_eq!(s.mean.published.first().copied().flatten(), of_set, "{set}");
            assert_eq!(s.classes[0].values[0], Some(0.75));
        }
    }

    #[test]
    fn settings_are_keys_as_they_are_set() {
        let r = assemble(&results("btad", "02"), &[]);
        let find = |key: &str| r.settings.iter().find(|s| s.0 == key).map(|s| s.1.as_str());
        assert_eq!([find("data.set"), find("train.passes")], [Some("\"btad\""), Some("2")]);
        // The second stage begins with the third epoch of two passes each.
        assert_eq!(r.training.second_stage, Some(5));
    }
}
