//! The latent space in two dimensions (the paper's figure 1).

use super::{legend, section};
use crate::charts::scatter;
use crate::data::Report;
use crate::html::tabs;

/// A scatter plot a level.
pub fn latents(report: &Report) -> String {
    let Some(first) = report.latents.first() else { return String::new() };
    let panels: Vec<_> = report
        .latents
        .iter()
        .map(|l| {
            (
                format!("level {}", l.level),
                format!("<figure class=\"wide\">{}</figure>", scatter(l)),
            )
        })
        .collect();
    let names: Vec<&str> = first.classes.iter().map(|c| c.class.as_str()).collect();
    let key = "<p class=\"key\"><span class=\"dotkey\">normal vector, coloured by class</span><span class=\"crosskey\">anomalous vector</span><span class=\"ringkey\">centre of the prior</span></p>";
    let lead = "A sample of latent vectors of test images, in the plane of the first two principal \
                components of the normal ones; centres are projected alike. Classes on one heap with \
                crosses among the dots are what the paper calls homogeneous mapping. The plane \
                shows but part of the variance: what overlaps here may lie apart.";
    let content = format!("{}{key}{}", legend(&names), tabs("latent", "Level", &panels));
    section("latents", "Latent space", lead, &content)
}
