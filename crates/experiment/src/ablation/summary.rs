//! The table of an ablation: means over seeds and differences to one variant.

use super::plan::Plan;
use crate::results::{Metrics, Results, Seconds, Versions};
use crate::run_folder::RunFolder;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// One variant over its seeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Name of the variant.
    pub name: String,
    /// Seeds that are finished, in the order asked for.
    pub seeds: Vec<u64>,
    /// Mean over seeds of the run's means over classes, after the last pass.
    pub mean: Metrics,
    /// Standard deviation over seeds (n - 1 degrees of freedom); `null` for fewer than two.
    pub std: Metrics,
    /// Mean over the seeds both have of this variant's metric less the reference's.
    pub difference: Metrics,
    /// Standard deviation of that difference over seeds.
    pub difference_std: Metrics,
    /// Each seed's metrics, as `seeds`.
    pub by_seed: Vec<Metrics>,
    /// Mean seconds of a run, by part.
    pub seconds: Seconds,
    /// Numbers trained.
    pub parameters: usize,
    /// The run folders, as `seeds`.
    pub runs: Vec<PathBuf>,
}

/// The whole table; `results.json` of an ablation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Name of the ablation.
    pub name: String,
    /// What it asks.
    pub about: String,
    /// The experiment every variant started from.
    pub base: String,
    /// The variant that the differences are to.
    pub reference: String,
    /// Seeds asked for.
    pub seeds: Vec<u64>,
    /// What computed it.
    pub versions: Versions,
    /// A row a variant.
    #[serde(rename = "variants")]
    pub rows: Vec<Row>,
    /// Runs that failed, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
}

impl Summary {
    /// The table of the runs of `plan` that are finished: index in the plan, folder, results.
    pub fn new(plan: &Plan, finished: &[(usize, RunFolder, Results)], failed: Vec<String>) -> Self {
        let spec = &plan.spec;
        let of = |variant: usize| {
            let mut own: Vec<_> =
                finished.iter().filter(|f| plan.runs[f.0].variant == variant).collect();
            own.sort_by_key(|f| f.0);
            own
        };
        let reference = spec.variants.iter().position(|v| v.name == spec.reference);
        let reference = of(reference.unwrap_or(0));
        let rows = spec.variants.iter().enumerate().map(|(i, v)| {
            let own = of(i);
            let seed = |f: &(usize, RunFolder, Results)| plan.runs[f.0].config.seed;
            let metrics: Vec<Metrics> = own.iter().map(|f| f.2.mean.clone()).collect();
            let differences: Vec<Metrics> = own
                .iter()
                .filter_map(|f| {
                    let base = reference.iter().find(|r| seed(r) == seed(f))?;
                    Some(f.2.mean.less(&base.2.mean))
                })
                .collect();
            Row {
                name: v.name.clone(),
                seeds: own.iter().map(|f| seed(f)).collect(),
                mean: Metrics::mean(metrics.iter()),
                std: Metrics::standard_deviation(&metrics),
                difference: Metrics::mean(differences.iter()),
                difference_std: Metrics::standard_deviation(&differences),
                by_seed: metrics,
                seconds: Seconds::mean(own.iter().map(|f| &f.2.seconds)),
                parameters: own.first().map_or(0, |f| f.2.parameters),
                runs: own.iter().map(|f| f.1.path().into()).collect(),
            }
        });
        Self {
            name: spec.name.clone(),
            about: spec.about.clone(),
            base: spec.base.clone(),
            reference: spec.reference.clone(),
            seeds: spec.seeds.clone(),
            versions: Versions::here(),
            rows: rows.collect(),
            failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::results::Metrics;

    fn metrics(image: f64, pixel: Option<f64>) -> Metrics {
        Metrics { image_auroc: Some(image), pixel_auroc: pixel, ..Metrics::default() }
    }

    #[test]
    fn deviation_is_the_samples_and_undefined_for_one() {
        let all = [metrics(0.7, Some(0.5)), metrics(0.8, None), metrics(0.9, None)];
        let s = Metrics::standard_deviation(&all);
        assert!((s.image_auroc.unwrap() - 0.1).abs() < 1e-12, "{s:?}");
        assert_eq!(s.pixel_auroc, None);
        assert_eq!(Metrics::standard_deviation(&all[..1]).image_auroc, None);
        let d = all[0].less(&all[1]);
        assert!((d.image_auroc.unwrap() + 0.1).abs() < 1e-12);
        assert_eq!(d.pixel_auroc, None);
    }
}
