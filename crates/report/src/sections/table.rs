//! Tables that can be sorted by each column.

use crate::data::{Report, ScoreRow};
use crate::html::{escape, share};

/// A cell: what is shown, and what is sorted by.
pub struct Cell {
    html: String,
    value: Option<f64>,
}

impl Cell {
    /// A share of one, with a bar of its length.
    pub fn share(value: Option<f64>) -> Self {
        let length = value.map_or(0.0, |v| v.clamp(0.0, 1.0));
        let html = format!("<span class=\"bar\" style=\"--v:{length:.3}\">{}</span>", share(value));
        Self { html, value }
    }

    /// A number without a bar.
    pub fn number(value: Option<f64>, text: &str) -> Self {
        Self { html: escape(text), value }
    }
}

/// A table: `head` has each column's title and explanation, that of the names first; `rows` a name
/// with cells; `foot` stays below whatever it is sorted by.
pub fn table(
    caption: &str,
    head: &[(String, String)],
    rows: &[(String, Vec<Cell>)],
    foot: &[(String, Vec<Cell>)],
) -> String {
    let mut out = format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{c}\"><table class=\"sortable\"><caption>{c}</caption><thead><tr>",
        c = escape(caption)
    );
    for (title, about) in head {
        out += &format!(
            "<th scope=\"col\" aria-sort=\"none\" title=\"{}\"><button type=\"button\">{}</button></th>",
            escape(about),
            escape(title)
        );
    }
    out += "</tr></thead><tbody>";
    rows.iter().for_each(|row| out += &of_row(row));
    out += "</tbody><tfoot>";
    foot.iter().for_each(|row| out += &of_row(row));
    out + "</tfoot></table></div>"
}

fn of_row((name, cells): &(String, Vec<Cell>)) -> String {
    let mut out = format!("<tr><th scope=\"row\">{}</th>", escape(name));
    for cell in cells {
        let value = cell.value.map_or(String::new(), |v| v.to_string());
        out += &format!("<td data-value=\"{value}\">{}</td>", cell.html);
    }
    out + "</tr>"
}

/// Metrics by class, the paper's beside those it reports, and their means.
pub fn by_class(report: &Report) -> String {
    let s = &report.scores;
    let all = || s.classes.iter().chain([&s.mean]);
    let published: Vec<usize> = (0..s.metrics.len())
        .filter(|i| all().any(|r| r.published.get(*i).copied().flatten().is_some()))
        .collect();
    let mut head = vec![("class".to_string(), "Sort by name".to_string())];
    for (i, m) in s.metrics.iter().enumerate() {
        head.push((m.title.clone(), m.about.clone()));
        if published.contains(&i) {
            head.push((
                "paper".into(),
                format!("{} in the paper, its best epoch on the test set", m.title),
            ));
        }
    }
    let cells = |row: &ScoreRow| {
        let mut cells = Vec::new();
        for i in 0..s.metrics.len() {
            cells.push(Cell::share(row.values.get(i).copied().flatten()));
            if published.contains(&i) {
                let v = row.published.get(i).copied().flatten();
                cells.push(Cell::number(v, &v.map_or("–".into(), |v| format!("{v:.3}"))));
            }
        }
        (row.name.clone(), cells)
    };
    let rows: Vec<_> = s.classes.iter().map(cells).collect();
    let (_, mean) = cells(&s.mean);
    let mut out = table("Metrics by class", &head, &rows, &[("mean".into(), mean)]);
    for row in &s.classes {
        if let Some(why) = &row.undefined {
            out += &format!("<p class=\"note\">{}: {}</p>", escape(&row.name), escape(why));
        }
    }
    out
}
