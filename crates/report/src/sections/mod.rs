//! The sections of a page, one a file. Each gives its HTML, or nothing where there is nothing to
//! show.

pub mod curves;
pub mod gallery;
pub mod headline;
pub mod image_scores;
pub mod latents;
pub mod likelihoods;
pub mod settings;
pub mod table;
pub mod training;

use crate::charts::color_class;
use crate::html::escape;

/// A section with a heading to link to, and a sentence below it.
pub fn section(id: &str, title: &str, lead: &str, content: &str) -> String {
    format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-title\"><h2 id=\"{id}-title\">{title}</h2>\
         <p class=\"lead\">{lead}</p>{content}</section>\n"
    )
}

/// Buttons that bring out one class or run in the charts of the section, in the colours of `names`.
pub fn legend(names: &[&str]) -> String {
    let button = |(i, name): (usize, &&str)| {
        format!(
            "<button type=\"button\" class=\"{}\" data-focus=\"{i}\" aria-pressed=\"false\">{}</button>",
            color_class(i),
            escape(name)
        )
    };
    let buttons: String = names.iter().enumerate().map(button).collect();
    format!("<div class=\"legend\" role=\"group\" aria-label=\"Bring out one\">{buttons}</div>")
}

/// A chart below its title.
pub fn figure(title: &str, chart: &str) -> String {
    format!("<figure><figcaption>{}</figcaption>{chart}</figure>", escape(title))
}
