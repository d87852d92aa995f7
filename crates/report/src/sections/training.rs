//! Losses over passes, a chart a term.

use super::{figure, section};
use crate::charts::{LineChart, Series, line};
use crate::data::{Pass, Report};

/// A chart for the loss, each of its terms, the metrics on the test set and the rate.
pub fn training(report: &Report) -> String {
    let t = &report.training;
    let passes = &t.passes;
    let (Some(first), Some(last)) = (passes.first(), passes.last()) else {
        let why = "This run trained nothing: its model was taken over from another run.";
        return section("training", "Training", why, "");
    };
    let ends = [first.pass as f64, last.pass as f64];
    let mark = t.second_stage.map(|p| (p as f64, "second stage".to_string()));
    let chart = |title: &str, series: Vec<Series>, dots: bool| {
        let mark = mark.clone();
        let chart =
            LineChart { title: format!("{title} over passes"), series, passes: ends, mark, dots };
        figure(title, &line(&chart))
    };
    let one = |name: &str, color: Option<usize>, of: &dyn Fn(&Pass) -> Option<f64>| Series {
        name: name.into(),
        color,
        points: series(passes, of),
    };
    let mut charts = chart("loss, weighted sum", vec![one("loss", None, &|p| Some(p.loss))], false);
    for name in terms(passes) {
        let of = |p: &Pass| p.terms.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        charts += &chart(&name.replace('_', " "), vec![one(&name, Some(1), &of)], false);
    }
    let tested = vec![
        one("image AUROC", Some(0), &|p| p.image_auroc),
        one("pixel AUROC", Some(2), &|p| p.pixel_auroc),
    ];
    if tested.iter().any(|s| !s.points.is_empty()) {
        let title = "AUROC on the test set";
        let key = " <span class=\"key\"><span class=\"c0\">image</span><span class=\"c2\">pixel</span></span></figcaption>";
        charts += &chart(title, tested, true).replacen("</figcaption>", key, 1);
    }
    charts += &chart("learning rate", vec![one("rate", None, &|p| Some(p.rate))], false);
    let lead = "Mean over steps and levels of each pass; terms before their weights.";
    section("training", "Training", lead, &format!("<div class=\"grid3\">{charts}</div>"))
}

/// The values of passes that have one.
pub fn series(passes: &[Pass], of: impl Fn(&Pass) -> Option<f64>) -> Vec<[f64; 2]> {
    let point = |p: &Pass| Some([p.pass as f64, of(p).filter(|v| v.is_finite())?]);
    passes.iter().filter_map(point).collect()
}

/// Names of all terms, in the order they are met.
fn terms(passes: &[Pass]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (name, _) in passes.iter().flat_map(|p| &p.terms) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}
