//! ROC and precision-recall curves of images and pixels.

use super::{figure, legend, section};
use crate::charts::{CurveKind, curve};
use crate::data::{ClassCurves, CurvePair, Report};

/// The four charts: title, which curve, and where its points are.
pub type Chart = (&'static str, CurveKind, fn(&ClassCurves) -> &[[f32; 2]]);

fn roc(pair: &CurvePair) -> &[[f32; 2]] {
    &pair.roc
}

fn pr(pair: &CurvePair) -> &[[f32; 2]] {
    &pair.precision_recall
}

/// In the order they are shown in.
pub const CHARTS: [Chart; 4] = [
    ("Images · ROC", CurveKind::Roc, |c| roc(&c.image)),
    ("Images · precision and recall", CurveKind::PrecisionRecall, |c| pr(&c.image)),
    ("Pixels · ROC", CurveKind::Roc, |c| roc(&c.pixel)),
    ("Pixels · precision and recall", CurveKind::PrecisionRecall, |c| pr(&c.pixel)),
];

/// The mean curve of a run.
pub fn mean(report: &Report, (_, kind, of): &Chart) -> Vec<[f32; 2]> {
    kind.mean(&report.curves.iter().map(of).collect::<Vec<_>>())
}

/// A curve a class and their mean.
pub fn curves(report: &Report) -> String {
    if report.curves.is_empty() {
        return String::new();
    }
    let mut charts = String::new();
    for chart in &CHARTS {
        let (title, kind, of) = chart;
        let lines: Vec<_> = report.curves.iter().map(|c| (c.class.as_str(), of(c))).collect();
        charts += &figure(title, &curve(*kind, title, &lines, Some(&mean(report, chart))));
    }
    let names: Vec<&str> = report.curves.iter().map(|c| c.class.as_str()).collect();
    let lead = "A line a class, and in bold the mean of the lines at each abscissa. Choose a class to \
                bring it out.";
    let content = format!("{}<div class=\"grid2\">{charts}</div>", legend(&names));
    section("curves", "ROC and precision-recall", lead, &content)
}
