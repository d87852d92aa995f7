//! Several runs on one page.

use crate::charts::{LineChart, Series, curve, line};
use crate::data::{GalleryImage, Report, ScoreRow};
use crate::html::{duration, escape};
use crate::page::frame;
use crate::sections::table::{Cell, table};
use crate::sections::{curves, figure, gallery, legend, section, settings, training};

/// A page that shows `reports` side by side: metrics, curves, losses, the settings that differ, and
/// the images that all of them have.
pub fn comparison(reports: &[Report]) -> String {
    let names = names(reports);
    let labels: Vec<&str> = names.iter().map(String::as_str).collect();
    let body = [
        means(reports, &names),
        by_class(reports, &names),
        overlaid(reports, &labels),
        losses(reports, &labels),
        differing(reports, &names),
        images(reports, &names),
    ]
    .concat();
    let count = format!("{} runs", reports.len());
    let data: Vec<&str> = distinct(reports.iter().map(|r| r.data_set.as_str()));
    let about = format!("{}. Data: {}.", names.join(", "), data.join(", "));
    frame(&format!("{count} compared"), "Comparison", &count, &about, &body)
}

fn distinct<'a>(all: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut out = Vec::new();
    for v in all {
        if !out.contains(&v) {
            out.push(v);
        }
    }
    out
}

/// What tells the runs apart in few words: experiment, else run, else both, else with numbers.
fn names(reports: &[Report]) -> Vec<String> {
    let ways: [fn(&Report) -> String; 3] =
        [|r| r.name.clone(), |r| r.id.clone(), |r| format!("{} {}", r.name, r.id)];
    for way in ways {
        let names: Vec<String> = reports.iter().map(way).collect();
        if distinct(names.iter().map(String::as_str)).len() == names.len() {
            return names;
        }
    }
    reports.iter().enumerate().map(|(i, r)| format!("{} {}", i + 1, r.id)).collect()
}

/// Metrics of the union of all runs' columns, by title.
fn metrics(reports: &[Report]) -> Vec<(String, String)> {
    let mut out: Vec<(String, String)> = Vec::new();
    for m in reports.iter().flat_map(|r| &r.scores.metrics) {
        if !out.iter().any(|(title, _)| *title == m.title) {
            out.push((m.title.clone(), m.about.clone()));
        }
    }
    out
}

fn value(report: &Report, row: &ScoreRow, title: &str) -> Option<f64> {
    let at = report.scores.metrics.iter().position(|m| m.title == title)?;
    row.values.get(at).copied().flatten()
}

fn means(reports: &[Report], names: &[String]) -> String {
    let mut head = vec![("run".to_string(), "Sort by name".to_string())];
    let metrics = metrics(reports);
    head.extend(metrics.iter().cloned());
    head.push(("seconds".into(), "Wall clock of the whole run".into()));
    let row = |(r, name): (&Report, &String)| {
        let of = |(title, _): &(String, String)| Cell::share(value(r, &r.scores.mean, title));
        let mut cells: Vec<Cell> = metrics.iter().map(of).collect();
        let total = r.seconds.iter().find(|s| s.0 == "total").map(|s| s.1);
        cells.push(Cell::number(total, &total.map_or("–".into(), duration)));
        (name.clone(), cells)
    };
    let rows: Vec<_> = reports.iter().zip(names).map(row).collect();
    let lead = "Means over classes after the last pass. Press a heading to sort.";
    section("means", "Means", lead, &table("Means over classes", &head, &rows, &[]))
}

/// A table a metric: classes by runs.
fn by_class(reports: &[Report], names: &[String]) -> String {
    let all = reports.iter().flat_map(|r| r.scores.classes.iter().map(|c| c.name.as_str()));
    let classes = distinct(all);
    let panels: Vec<(String, String)> = metrics(reports)
        .into_iter()
        .map(|(title, about)| {
            let mut head = vec![("class".to_string(), "Sort by name".to_string())];
            head.extend(names.iter().map(|n| (n.clone(), format!("{title} of {n}"))));
            let of = |class: &str| -> Vec<Cell> {
                let of_run = |r: &Report| {
                    let row = r.scores.classes.iter().find(|c| c.name == class)?;
                    value(r, row, &title)
                };
                reports.iter().map(|r| Cell::share(of_run(r))).collect()
            };
            let rows: Vec<(String, Vec<Cell>)> =
                classes.iter().map(|c| (c.to_string(), of(c))).collect();
            let mean = reports.iter().map(|r| Cell::share(value(r, &r.scores.mean, &title)));
            let foot = [("mean".to_string(), mean.collect())];
            (title.clone(), table(&format!("{title}. {about}"), &head, &rows, &foot))
        })
        .collect();
    let content = crate::html::tabs("metric", "Metric", &panels);
    section("classes", "By class", "One metric at a time, a column a run.", &content)
}

fn overlaid(reports: &[Report], labels: &[&str]) -> String {
    if reports.iter().all(|r| r.curves.is_empty()) {
        return String::new();
    }
    let mut charts = String::new();
    for chart in &curves::CHARTS {
        let (title, kind, _) = chart;
        let means: Vec<Vec<[f32; 2]>> = reports.iter().map(|r| curves::mean(r, chart)).collect();
        let lines: Vec<(&str, &[[f32; 2]])> =
            labels.iter().copied().zip(means.iter().map(Vec::as_slice)).collect();
        charts += &figure(title, &curve(*kind, title, &lines, None));
    }
    let content = format!("{}<div class=\"grid2\">{charts}</div>", legend(labels));
    let lead = "The mean over the curves of the classes at each abscissa, a line a run.";
    section("curves", "ROC and precision-recall", lead, &content)
}

fn losses(reports: &[Report], labels: &[&str]) -> String {
    let all = || reports.iter().flat_map(|r| &r.training.passes);
    let (Some(first), Some(last)) = (all().map(|p| p.pass).min(), all().map(|p| p.pass).max())
    else {
        return String::new();
    };
    let chart = |title: &str, dots: bool, of: fn(&crate::Pass) -> Option<f64>| {
        let series = reports.iter().zip(labels).enumerate().map(|(i, (r, name))| Series {
            name: name.to_string(),
            color: Some(i),
            points: training::series(&r.training.passes, of),
        });
        let series: Vec<Series> = series.collect();
        if series.iter().all(|s| s.points.is_empty()) {
            return String::new();
        }
        let passes = [first as f64, last as f64];
        let title_text = format!("{title} over passes");
        figure(title, &line(&LineChart { title: title_text, series, passes, mark: None, dots }))
    };
    let charts = chart("loss, weighted sum", false, |p| Some(p.loss))
        + &chart("image AUROC on the test set", true, |p| p.image_auroc)
        + &chart("pixel AUROC on the test set", true, |p| p.pixel_auroc);
    let content = format!("{}<div class=\"grid3\">{charts}</div>", legend(labels));
    let lead = "Losses of runs with other terms or weights are no measure of each other.";
    section("training", "Training", lead, &content)
}

fn differing(reports: &[Report], names: &[String]) -> String {
    let find =
        |r: &Report, key: &str| r.settings.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone());
    let keys = distinct(reports.iter().flat_map(|r| r.settings.iter().map(|s| s.0.as_str())));
    let mut rows = String::new();
    for key in keys {
        let values: Vec<Option<String>> = reports.iter().map(|r| find(r, key)).collect();
        if values.iter().any(|v| *v != values[0]) {
            let cell = |v: &Option<String>| {
                format!("<td>{}</td>", v.as_deref().map_or("–".into(), escape))
            };
            let cells: String = values.iter().map(cell).collect();
            rows += &format!("<tr><th scope=\"row\">{}</th>{cells}</tr>", escape(key));
        }
    }
    let head: String =
        names.iter().map(|n| format!("<th scope=\"col\">{}</th>", escape(n))).collect();
    let content = match rows.is_empty() {
        true => "<p>All settings are equal.</p>".into(),
        false => format!(
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Settings\"><table class=\"settings\"><caption>Settings that differ</caption><thead><tr><th scope=\"col\">setting</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        ),
    };
    let times: String = reports
        .iter()
        .zip(names)
        .map(|(r, name)| {
            let all: Vec<(String, String)> =
                r.seconds.iter().map(|(k, s)| (k.clone(), duration(*s))).collect();
            format!("<div><h3>{}</h3>{}</div>", escape(name), settings::pairs("Seconds", &all))
        })
        .collect();
    let content = format!("{content}<h3>Time</h3><div class=\"grid3\">{times}</div>");
    section("settings", "What differs", "Settings that are not the same in all runs.", &content)
}

/// Images that every run has in its gallery, by class and name.
fn images(reports: &[Report], names: &[String]) -> String {
    let Some(first) = reports.first() else { return String::new() };
    let find = |r: &'_ Report,
                class: &str,
                id: &str|
     -> Option<(GalleryImage, Option<crate::Threshold>)> {
        let of = r.gallery.iter().find(|c| c.class == class)?;
        let image = of.images.iter().find(|i| i.id == id)?;
        Some((image.clone(), of.threshold.clone()))
    };
    let mut content = String::new();
    for class in &first.gallery {
        for image in &class.images {
            let all: Option<Vec<_>> =
                reports.iter().map(|r| find(r, &class.class, &image.id)).collect();
            let Some(all) = all else { continue };
            content += &format!(
                "<h3>{} <small>{}</small></h3><div class=\"gallery\">",
                escape(&class.class),
                escape(&image.id)
            );
            for (name, (image, threshold)) in names.iter().zip(all) {
                content += &format!(
                    "<figure class=\"strip\"><figcaption><b class=\"other\">{}</b> <span>{}</span></figcaption>{}</figure>",
                    escape(name),
                    gallery::outcome(&image),
                    gallery::strip(&image, threshold.is_some())
                );
            }
            content += "</div>";
        }
    }
    if content.is_empty() {
        let lead = "No image is in the galleries of all runs: they tested on other data, or \
                    <code>report.gallery</code> was below 3.";
        return section("gallery", "The same images", lead, "");
    }
    let lead = "Images that every run shows: image, mask, map, contour at the run's own threshold.";
    section("gallery", "The same images", lead, &(gallery::key().to_string() + &content))
}
