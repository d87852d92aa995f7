//! Scores of the calibrated model beside its thresholds.

use super::{figure, section};
use crate::charts::{Values, histogram};
use crate::data::{ImageScores, Report};
use crate::html::escape;

/// A histogram a class, with the threshold in it.
pub fn image_scores(report: &Report) -> String {
    let Some(first) = report.image_scores.first() else { return String::new() };
    let chart = |s: &ImageScores| {
        let of = Values {
            title: "Scores of test images",
            axis: "image score",
            range: [0.0, 1.0],
            mark: Some((s.threshold.value, "threshold")),
        };
        let shares = [("false alarms", s.false_alarms), ("found", s.found)];
        let shares: String = shares
            .into_iter()
            .filter_map(|(name, share)| Some(format!(" · {name} {:.1} %", 100.0 * share?)))
            .collect();
        figure(&format!("{}{shares}", s.counts.class), &histogram(&s.counts, &of))
    };
    let charts: String = report.image_scores.iter().map(chart).collect();
    let key = "<p class=\"key\"><span class=\"normal\">normal images</span><span class=\"anomalous\">anomalous images</span></p>";
    // Where the number of images differs by class the reasons do too: each stands in the gallery.
    let same = report.image_scores.iter().all(|s| s.threshold.origin == first.threshold.origin);
    let origin = match same {
        true => format!(" The threshold is {}.", escape(&first.threshold.origin)),
        false => " The threshold is calibrated for each class; how is said in the gallery.".into(),
    };
    let lead = format!(
        "The deployed model's score of each test image, each group as shares of \
         its own. An image above the threshold is called anomalous.{origin} No test image and no \
         label had a part in it."
    );
    section(
        "scores",
        "Scores and thresholds",
        &lead,
        &format!("{key}<div class=\"grid3\">{charts}</div>"),
    )
}
