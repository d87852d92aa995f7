//! The numbers to read first.

use crate::data::Report;
use crate::html::{escape, share};

/// Means of all metrics, with the paper's and the best pass's where there are some.
pub fn headline(report: &Report) -> String {
    let s = &report.scores;
    let at = |values: &[Option<f64>], i: usize| values.get(i).copied().flatten();
    let mut figures = String::new();
    for (i, metric) in s.metrics.iter().enumerate() {
        let mut notes = Vec::new();
        if let Some(v) = at(&s.mean.published, i) {
            notes.push(format!("paper {v:.3}"));
        }
        if let Some(best) = &s.best
            && let Some(v) = at(&best.values, i)
        {
            notes.push(format!("best pass {v:.4}"));
        }
        let notes: String = notes.iter().map(|n| format!("<span>{n}</span>")).collect();
        figures += &format!(
            "<div title=\"{}\"><dt>{}</dt><dd>{}{notes}</dd></div>",
            escape(&metric.about),
            escape(&metric.title),
            share(at(&s.mean.values, i))
        );
    }
    let best = s.best.as_ref().map_or(String::new(), |b| {
        format!(
            " The best pass ({}) is chosen with test labels, as the paper does: it flatters.",
            b.pass
        )
    });
    let paper = match s.mean.published.iter().any(Option::is_some) {
        true => " The paper's numbers are of its best epoch on the test set.",
        false => "",
    };
    let facts: String = report
        .facts
        .iter()
        .map(|(k, v)| format!("<div><dt>{}</dt><dd>{}</dd></div>", escape(k), escape(v)))
        .collect();
    format!(
        "<section class=\"headline\" aria-label=\"Headline numbers\"><dl class=\"figures\">{figures}</dl>\
         <p class=\"lead\">Means over classes after the last pass.{best}{paper}</p>\
         <dl class=\"facts\">{facts}</dl></section>\n"
    )
}
