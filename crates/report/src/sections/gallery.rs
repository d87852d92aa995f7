//! Test images with mask, map and contour (the paper's figure 4).

use super::section;
use crate::data::{GalleryClass, GalleryImage, Reason, Report, Threshold};
use crate::html::{coordinate, escape};

/// The classes one after the other, in each the best and the worst first.
pub fn gallery(report: &Report) -> String {
    if report.gallery.iter().all(|c| c.images.is_empty()) {
        return String::new();
    }
    let mut content = String::new();
    for class in report.gallery.iter().filter(|c| !c.images.is_empty()) {
        content += &of_class(class);
    }
    let lead = format!(
        "Each strip: the image, its mask, the anomaly map (the scale of colours is the class's), and \
         the contour of the map at the threshold. {} Fits are the F1 of the contour's pixels against \
         the mask's.",
        whose(report)
    );
    section("gallery", "Gallery", &lead, &(key().to_string() + &content))
}

/// Whose maps they are, and what the threshold is.
fn whose(report: &Report) -> &'static str {
    let mut calibrated =
        report.gallery.iter().filter_map(|c| c.threshold.as_ref()).map(|t| t.calibrated);
    let first = calibrated.next();
    match (first, calibrated.all(|c| Some(c) == first)) {
        (Some(true), true) => {
            "Maps are the deployed model's, and the threshold is the calibrated one: what is outlined \
             is what <code>hgad predict</code> and <code>hgad serve</code> report."
        }
        (Some(false), true) => {
            "The run has no calibrated threshold: maps are the score rule's, and the threshold is the \
             one of the best pixel F1, chosen with test labels, so contours flatter."
        }
        (None, _) => "There is no threshold.",
        _ => {
            "Where the threshold is calibrated, maps are the deployed model's; elsewhere the score \
             rule's, at the threshold of the best pixel F1, chosen with test labels."
        }
    }
}

/// What lines in the pictures mean.
pub fn key() -> &'static str {
    "<p class=\"key\"><span class=\"heatkey\">map, low to high</span><span class=\"contourkey\">contour at the threshold</span><span class=\"maskkey\">true defect</span></p>"
}

fn of_class(class: &GalleryClass) -> String {
    let threshold = class.threshold.as_ref().map_or("no threshold".into(), of_threshold);
    let mut out = format!(
        "<h3>{} <small>{threshold}</small></h3><div class=\"gallery\">",
        escape(&class.class)
    );
    for image in &class.images {
        out += &format!(
            "<figure class=\"strip\"><figcaption><b class=\"{}\">{}</b> {}</figcaption>{}</figure>",
            reason_class(image.reason),
            reason_text(image.reason),
            caption(image),
            strip(image, class.threshold.is_some())
        );
    }
    out + "</div>"
}

/// A threshold in words.
pub fn of_threshold(t: &Threshold) -> String {
    format!("threshold {}, {}", significant(t.value), escape(&t.origin))
}

/// Name, defect, score and fit of an image.
fn caption(image: &GalleryImage) -> String {
    let defect = image.defect.as_deref().unwrap_or("normal");
    // Where folders are named by the defect, the name says it already.
    let defect = match image.id.split('/').any(|part| part == defect) {
        true => String::new(),
        false => format!(" · {}", escape(defect)),
    };
    format!("<span>{}{defect} · {}</span>", escape(&image.id), outcome(image))
}

/// What the model makes of an image: its score, and the fit of its contour.
pub fn outcome(image: &GalleryImage) -> String {
    let fit = image.f1.map_or(String::new(), |f1| format!(" · fit {f1:.2}"));
    format!("score {}{fit}", significant(image.score))
}

/// The four pictures of an image side by side.
pub fn strip(image: &GalleryImage, has_threshold: bool) -> String {
    let id = escape(&image.id);
    let what = escape(image.defect.as_deref().unwrap_or("normal"));
    let contour = match (has_threshold, image.contour.len()) {
        (false, _) => "no threshold".into(),
        (true, 0) => "nothing above the threshold".into(),
        (true, n) => format!("{n} outline(s) above the threshold"),
    };
    let mask = match image.mask.len() {
        0 => "empty mask".into(),
        n => format!("mask with {n} outline(s)"),
    };
    let view = "viewBox=\"0 0 1000 1000\" aria-hidden=\"true\"";
    // The picture is in the page once: both panels that show it take it from the property.
    format!(
        "<div class=\"panels\" style=\"--input:url({input})\">\
         <div class=\"input\" role=\"img\" aria-label=\"{id}, {what}\"></div>\
         <div class=\"mask\" role=\"img\" aria-label=\"{mask}\"><svg {view}><path d=\"{m}\"/></svg></div>\
         <img src=\"{map}\" alt=\"anomaly map of {id}\" loading=\"lazy\">\
         <div class=\"input\" role=\"img\" aria-label=\"{contour}\"><svg {view}><path class=\"truth\" d=\"{m}\"/><path class=\"under\" d=\"{c}\"/><path class=\"found\" d=\"{c}\"/></svg></div></div>",
        input = image.input.address(),
        m = path(&image.mask),
        map = image.map.address(),
        c = path(&image.contour),
    )
}

/// Rings as a path in thousandths of the side.
fn path(rings: &[crate::Ring]) -> String {
    let mut out = String::new();
    for ring in rings {
        for (i, p) in ring.iter().enumerate() {
            let [x, y] = p.map(|v| coordinate(f64::from(v) * 1000.0));
            out += &format!("{}{x},{y}", if i == 0 { "M" } else { "L" });
        }
        out += "Z";
    }
    out
}

/// Three significant digits.
fn significant(v: f64) -> String {
    let size = v.abs();
    match size {
        0.0 => "0".into(),
        _ if !(1e-3..1e5).contains(&size) => format!("{v:.2e}"),
        _ => format!("{v:.*}", (2 - size.log10().floor() as i32).max(0) as usize),
    }
}

fn reason_text(reason: Reason) -> &'static str {
    match reason {
        Reason::Best => "best fit",
        Reason::Worst => "worst fit",
        Reason::Fixed => "in every run",
        Reason::Normal => "highest of the normal",
    }
}

fn reason_class(reason: Reason) -> &'static str {
    match reason {
        Reason::Best => "best",
        Reason::Worst => "worst",
        Reason::Fixed | Reason::Normal => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rings_are_paths() {
        let ring = vec![[0.0, 0.25], [0.5, 0.1235], [1.0, 1.0]];
        assert_eq!(
            path(&[ring.clone(), ring[..2].to_vec()]),
            "M0,250L500,123.5L1000,1000ZM0,250L500,123.5Z"
        );
        assert_eq!(path(&[]), "");
    }

    #[test]
    fn significant_digits() {
        let all = [0.0, 0.98765, 123.456, 1234.6, 0.00001234].map(significant);
        assert_eq!(all, ["0", "0.988", "123", "1235", "1.23e-5"]);
    }
}
