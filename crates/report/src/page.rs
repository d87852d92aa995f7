//! The page of one run, and the frame that every page has.

use crate::data::Report;
use crate::html::escape;
use crate::sections::{
    curves, gallery, headline, image_scores, latents, likelihoods, section, settings, table,
    training,
};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The page of one run, a whole HTML document.
pub fn page(report: &Report) -> String {
    let lead = "After the last pass. Press a heading to sort.";
    let body = [
        headline::headline(report),
        section("classes", "By class", lead, &table::by_class(report)),
        likelihoods::likelihoods(report),
        image_scores::image_scores(report),
        curves::curves(report),
        gallery::gallery(report),
        latents::latents(report),
        training::training(report),
        settings::settings(report),
    ]
    .concat();
    let title = format!("{} · {}", report.name, report.id);
    frame(
        &title,
        &report.name,
        &report.id,
        &format!("{}. Data: {}.", report.about.trim_end_matches('.'), report.data_set),
        &body,
    )
}

/// A document: `title` of the window, heading, what stands beside it and below it, and `body`, whose
/// sections are linked to at the top.
pub fn frame(title: &str, heading: &str, id: &str, about: &str, body: &str) -> String {
    let about = about.trim_start_matches(". ");
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header><h1>{} <small>{}</small></h1><p>{}</p>{}</header>\n<main>\n{body}</main>\n\
         <div id=\"tip\" role=\"status\" hidden></div>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        escape(title),
        escape(heading),
        escape(id),
        escape(about),
        navigation(body)
    )
}

/// Links to the sections that are in `body`, whose headings are already HTML.
fn navigation(body: &str) -> String {
    let mut links = String::new();
    for part in body.split("<section id=\"").skip(1) {
        let id = part.split('"').next().unwrap_or_default();
        let heading = part.split("</h2>").next().and_then(|h| h.rsplit('>').next());
        links += &format!("<a href=\"#{id}\">{}</a>", heading.unwrap_or_default());
    }
    format!("<nav aria-label=\"Sections\">{links}</nav>")
}
