//! Log-likelihoods of normal and anomalous vectors by class (the paper's figure 5).

use super::{figure, section};
use crate::charts::{Values, histogram, median};
use crate::data::{LevelLikelihoods, Report};
use crate::html::tabs;

/// Histograms, small ones side by side, a tab a level.
pub fn likelihoods(report: &Report) -> String {
    if report.likelihoods.is_empty() {
        return String::new();
    }
    let panel = |l: &LevelLikelihoods| {
        let charts: String = l
            .classes
            .iter()
            .map(|h| {
                let apart = median(&h.normal, l.low, l.high)
                    .zip(
                        median(&h.anomalous, l.low, l.high)
                            .filter(|_| h.anomalous.iter().any(|c| *c > 0)),
                    )
                    .map_or(String::new(), |(n, a)| format!(" · medians {:.2} apart", n - a));
                let of = Values {
                    title: "Log-likelihoods of vectors",
                    axis: "log-likelihood, nats per dimension",
                    range: [l.low, l.high],
                    mark: None,
                };
                figure(&format!("{}{}", h.class, apart.replace('-', "−")), &histogram(h, &of))
            })
            .collect();
        (format!("level {}", l.level), format!("<div class=\"grid3\">{charts}</div>"))
    };
    let panels: Vec<_> = report.likelihoods.iter().map(panel).collect();
    let key = "<p class=\"key\"><span class=\"normal\">normal vectors</span><span class=\"anomalous\">anomalous vectors</span></p>";
    let lead = "Log-likelihood of the feature vectors of all test images under the density of their \
                class, each group as shares of its own. A vector is anomalous where the mask marks \
                part of its cell. Bins at the ends hold what lies beyond.";
    let content = key.to_string() + &tabs("likelihood", "Level", &panels);
    section("likelihoods", "Log-likelihoods", lead, &content)
}
