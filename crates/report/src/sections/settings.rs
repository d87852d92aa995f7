//! Settings, versions and where the time went.

use super::section;
use crate::data::Report;
use crate::html::{duration, escape};

/// Time by part, versions, and every setting.
pub fn settings(report: &Report) -> String {
    let content = format!(
        "<div class=\"grid2\"><div><h3>Time</h3>{}</div><div><h3>Versions</h3>{}</div></div>\
         <details><summary>All {} settings</summary>{}</details>",
        times(&report.seconds),
        pairs("Versions", &report.versions),
        report.settings.len(),
        pairs("Settings", &report.settings)
    );
    let lead = "The run can be repeated from its <code>config.toml</code>.";
    section("settings", "Settings and time", lead, &content)
}

/// Seconds with bars against the longest.
fn times(seconds: &[(String, f64)]) -> String {
    let longest = seconds.iter().map(|s| s.1).fold(f64::MIN_POSITIVE, f64::max);
    let row = |(part, s): &(String, f64)| {
        format!(
            "<tr><th scope=\"row\">{}</th><td><span class=\"bar\" style=\"--v:{:.3}\">{}</span></td></tr>",
            escape(part),
            s / longest,
            duration(*s)
        )
    };
    let rows: String = seconds.iter().map(row).collect();
    format!(
        "<table class=\"pairs times\"><caption>Seconds by part</caption><tbody>{rows}</tbody></table>"
    )
}

/// A table of keys and values.
pub fn pairs(caption: &str, all: &[(String, String)]) -> String {
    let row = |(k, v): &(String, String)| {
        format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>", escape(k), escape(v))
    };
    let rows: String = all.iter().map(row).collect();
    format!(
        "<table class=\"pairs\"><caption>{}</caption><tbody>{rows}</tbody></table>",
        escape(caption)
    )
}
