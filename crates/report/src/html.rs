//! Text that is safe in HTML and SVG.

/// `text` with what HTML would take for markup as entities: safe between tags and in quoted
/// attributes. Control characters, which HTML does not allow, become U+FFFD.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\'' => out += "&#39;",
            c if c.is_control() && !c.is_whitespace() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A share of one for reading: four digits, `–` where undefined.
pub fn share(value: Option<f64>) -> String {
    value.map_or("–".into(), |v| format!("{v:.4}"))
}

/// A number in as few digits as tell it from its neighbours `step` apart.
pub fn tick(value: f64, step: f64) -> String {
    // Rounding makes -0.0 of small negative numbers.
    let value = if value.abs() < step * 1e-6 { 0.0 } else { value };
    if value != 0.0 && !(1e-3..1e5).contains(&value.abs()) {
        return format!("{value:.0e}").replace('-', "−");
    }
    let digits = (-step.log10() + 1e-9).ceil().clamp(0.0, 6.0) as usize;
    format!("{value:.digits$}").replace('-', "−")
}

/// A coordinate of a drawing: at most one digit after the point.
pub fn coordinate(v: f64) -> String {
    let text = format!("{v:.1}");
    match text.strip_suffix(".0") {
        Some("-0") => "0".into(),
        Some(whole) => whole.into(),
        None => text,
    }
}

/// Seconds for people.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{} h {:02.0} min", (s / 3600.0) as u64, s % 3600.0 / 60.0),
    }
}

/// Tabs over `panels`, each a title and its HTML; the first is open. They need no script.
pub fn tabs(group: &str, label: &str, panels: &[(String, String)]) -> String {
    if let [(_, only)] = panels {
        return only.clone();
    }
    let mut out = format!("<div class=\"tabs\" role=\"group\" aria-label=\"{}\">", escape(label));
    for (i, (title, _)) in panels.iter().enumerate() {
        let checked = if i == 0 { " checked" } else { "" };
        out += &format!(
            "<input type=\"radio\" name=\"{group}\" id=\"{group}-{i}\"{checked}><label for=\"{group}-{i}\">{}</label>",
            escape(title)
        );
    }
    for (_, panel) in panels {
        out += &format!("<div class=\"panel\">{panel}</div>");
    }
    out + "</div>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_text() {
        let hostile = "a<script>alert('x')</script>&\"b\"\u{0}";
        let safe = escape(hostile);
        assert_eq!(
            safe,
            "a&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;b&quot;\u{fffd}"
        );
    }

    #[test]
    fn numbers_for_reading() {
        assert_eq!(share(Some(0.98765)), "0.9877");
        assert_eq!(share(None), "–");
        assert_eq!([coordinate(1.04), coordinate(-0.01), coordinate(2.26)], ["1", "0", "2.3"]);
        assert_eq!([tick(-0.5, 0.5), tick(20.0, 5.0), tick(0.25, 0.05)], ["−0.5", "20", "0.25"]);
        assert_eq!(tick(2e-5, 1e-5), "2e−5");
        assert_eq!(
            [duration(3.21), duration(600.0), duration(9000.0)],
            ["3.2 s", "10 min", "2 h 30 min"]
        );
    }
}
