//! Numbers in words.

use hgad_experiment::StepRecord;
use hgad_experiment::metrics_log::PassRecord;

/// A pass in a line; `left` seconds are still to go.
pub fn pass(r: &PassRecord, left: Option<f64>) -> String {
    let terms: Vec<String> = r.terms.iter().map(|(n, v)| format!("{n} {v:.3}")).collect();
    let mut text = format!(
        "pass {}/{} (epoch {}): loss {:.3} [{}], rate {:.1e}",
        r.pass,
        r.passes,
        r.epoch,
        r.loss,
        terms.join(", "),
        r.rate,
    );
    if let Some(speed) = r.images_per_second() {
        text += &format!(", {speed:.1} images/s");
    }
    text += &format!(", {:.1} s", r.seconds);
    if let Some(bytes) = r.memory {
        text += &format!(", {}", mebibytes(bytes));
    }
    let auroc = |v: Option<f64>| v.map_or("undefined".into(), |v| format!("{v:.4}"));
    if r.image_auroc.is_some() || r.pixel_auroc.is_some() {
        let (image, pixel) = (auroc(r.image_auroc), auroc(r.pixel_auroc));
        text += &format!(", test AUROC image {image} pixel {pixel}");
    }
    if let Some(left) = left.filter(|l| *l >= 1.0) {
        text += &format!(", about {} left", duration(left));
    }
    text
}

/// What is shown below the bar of a pass, piece by piece, the most wanted first.
pub fn step(s: &StepRecord, memory: Option<u64>, left: Option<f64>) -> Vec<String> {
    let mut pieces = vec![format!("loss {:.3}", s.loss)];
    pieces.extend(s.terms.iter().map(|(name, v)| format!("{name} {v:.3}")));
    pieces.push(format!("rate {:.1e}", s.rate));
    pieces.extend(memory.map(mebibytes));
    let left = left.filter(|l| *l >= 1.0);
    pieces.extend(left.map(|l| format!("about {} left in all", duration(l))));
    pieces
}

/// `pieces` in lines of at most `columns`, set in by two; a piece is never cut.
pub fn wrap(pieces: &[String], columns: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for piece in pieces {
        match lines.last_mut() {
            Some(line) if line.len() + 2 + piece.len() <= columns => {
                line.push_str("  ");
                line.push_str(piece);
            }
            _ => lines.push(format!("  {piece}")),
        }
    }
    lines.join("\n")
}

/// `text` in lines of at most `columns`, broken at spaces alone, all but the first set in by four.
/// A word that is longer, such as a path, stays whole, so that it can be copied.
pub fn fold(text: &str, columns: usize) -> String {
    let broken = |line: &str| {
        let mut out = String::new();
        // Columns taken in the last line, and those it is set in by.
        let (mut used, mut margin) = (0, 0);
        for word in line.split(' ') {
            let length = word.chars().count();
            if used > margin && used + 1 + length > columns {
                out += "\n    ";
                (used, margin) = (4, 4);
            } else if !out.is_empty() {
                out.push(' ');
                used += 1;
            }
            out += word;
            used += length;
        }
        out
    };
    text.lines().map(broken).collect::<Vec<_>>().join("\n")
}

/// A number without digits that nobody reads.
pub fn thousandths(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// Bytes in MiB.
fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

/// Seconds for people.
pub fn duration(seconds: f64) -> String {
    let s = seconds.round() as u64;
    match s {
        0..=119 => format!("{s} s"),
        120..=7199 => format!("{} min", s / 60),
        7200..=172_799 => format!("{} h {} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// An error with what it was caused by, each said once.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(cause) = at {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text += &format!(": {cause_text}");
        }
        at = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (seconds, words) in [
            (0.4, "0 s"),
            (119.4, "119 s"),
            (120.0, "2 min"),
            (7199.0, "119 min"),
            (7260.0, "2 h 1 min"),
            (200_000.0, "2 d 7 h"),
        ] {
            assert_eq!(duration(seconds), words);
        }
    }

    #[test]
    fn text_is_broken_at_spaces() {
        assert_eq!(fold("one two three", 80), "one two three");
        assert_eq!(fold("one two three", 9), "one two\n    three");
        assert_eq!(fold("in /a/long/path now", 8), "in\n    /a/long/path\n    now");
        assert_eq!(fold("a\nb", 80), "a\nb");
        assert_eq!(fold("", 80), "");
    }

    #[test]
    fn lines_hold_whole_pieces() {
        let pieces = ["loss 1.000", "inter 0.500", "rate 1e-4"].map(String::from);
        assert_eq!(wrap(&pieces, 100), "  loss 1.000  inter 0.500  rate 1e-4");
        assert_eq!(wrap(&pieces, 26), "  loss 1.000  inter 0.500\n  rate 1e-4");
        assert_eq!(wrap(&pieces, 5).lines().count(), 3);
    }
}
