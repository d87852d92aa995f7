//! Two histograms over each other: normal and anomalous.

use super::{Axis, Frame};
use crate::data::Histogram;
use crate::html::{coordinate, escape, tick};

/// What a histogram is of.
pub struct Values<'a> {
    /// Its title for a reader who does not see it, before the class.
    pub title: &'a str,
    /// What the axis shows, with the unit.
    pub axis: &'a str,
    /// The left end of the first bin and the right end of the last.
    pub range: [f64; 2],
    /// A value to mark, and its name.
    pub mark: Option<(f64, &'a str)>,
}

/// Shares of the normal and of the anomalous in each bin.
pub fn histogram(h: &Histogram, of: &Values) -> String {
    let [low, high] = of.range;
    let (normal, anomalous) = (shares(&h.normal), shares(&h.anomalous));
    let most = normal.iter().chain(&anomalous).copied().fold(0.0, f64::max);
    let frame = Frame {
        width: 340.0,
        height: 170.0,
        left: 42.0,
        bottom: 38.0,
        x: Axis { low, high, label: of.axis.into(), ticks: 5 },
        y: Axis {
            low: 0.0,
            high: if most > 0.0 { most * 1.06 } else { 1.0 },
            label: String::new(),
            ticks: 3,
        },
    };
    let mut content = String::new();
    for (class, shares) in [("normal", &normal), ("anomalous", &anomalous)] {
        if shares.iter().any(|s| *s > 0.0) {
            let line = skyline(&frame, shares);
            content += &format!("<path class=\"area {class}\" d=\"{line}\"/>");
        }
    }
    let bins = normal.len().max(anomalous.len());
    let edge = |i: usize| low + (high - low) * i as f64 / bins.max(1) as f64;
    for i in 0..bins {
        let of = |s: &[f64]| 100.0 * s.get(i).copied().unwrap_or_default();
        let (x, right) = (frame.x(edge(i)), frame.x(edge(i + 1)));
        content += &format!(
            "<rect class=\"spot\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" data-tip=\"{} to {}: {:.1} % of normal, {:.1} % of anomalous\"/>",
            coordinate(x),
            coordinate(frame.top()),
            coordinate(right - x),
            coordinate(frame.inner_height()),
            tick(edge(i), (high - low) / 100.0),
            tick(edge(i + 1), (high - low) / 100.0),
            of(&normal),
            of(&anomalous)
        );
    }
    if let Some((value, name)) = of.mark {
        let (x, top) = (frame.x(value), frame.top());
        // To the side where there is more room.
        let (end, shift) = if value - low > high - value { ("end", -5.0) } else { ("", 5.0) };
        content += &format!(
            "<g class=\"mark limit\"><path d=\"M{x},{top}V{bottom}\"/><text class=\"{end}\" x=\"{at}\" y=\"{y}\">{name}</text></g>",
            x = coordinate(x),
            top = coordinate(top),
            bottom = coordinate(top + frame.inner_height()),
            at = coordinate(x + shift),
            y = coordinate(top + 9.0),
            name = escape(name)
        );
    }
    let title = format!("{} of {}, normal and anomalous", of.title, h.class);
    frame.draw(&title, &content)
}

/// The median of a histogram between `low` and `high`; `None` of an empty one.
pub fn median(counts: &[u64], low: f64, high: f64) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    let mut below = 0;
    let bin = counts.iter().position(|c| {
        below += c;
        2 * below >= total.max(1)
    })?;
    Some(low + (high - low) * (bin as f64 + 0.5) / counts.len() as f64)
}

fn shares(counts: &[u64]) -> Vec<f64> {
    let total = counts.iter().sum::<u64>().max(1) as f64;
    counts.iter().map(|c| *c as f64 / total).collect()
}

/// A closed path along the tops of the bins.
fn skyline(frame: &Frame, shares: &[f64]) -> String {
    let width = (frame.x.high - frame.x.low) / shares.len() as f64;
    let mut out = format!("M{}", frame.point([frame.x.low, 0.0]));
    for (i, s) in shares.iter().enumerate() {
        let right = frame.x.low + (i + 1) as f64 * width;
        out += &format!("V{}H{}", coordinate(frame.y(*s)), coordinate(frame.x(right)));
    }
    out + &format!("V{}Z", coordinate(frame.y(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_of_known_heights() {
        let h = Histogram { class: "a<b".into(), normal: vec![1, 3], anomalous: vec![0, 0] };
        let of = Values { title: "Sizes", axis: "size", range: [-2.0, 0.0], mark: None };
        let svg = histogram(&h, &of);
        // The taller is 1 / 1.06 of the height of 122 above 132.
        let (one, three) = (132.0 - 122.0 / 3.18, 132.0 - 122.0 / 1.06);
        let d = format!("M42,132V{one:.1}H185V{three:.1}H328V132Z");
        assert!(svg.contains(&d), "{d} in {svg}");
        assert!(svg.contains("75.0 % of normal, 0.0 % of anomalous"), "{svg}");
        assert!(svg.contains("Sizes of a&lt;b,") && !svg.contains("area anomalous"), "{svg}");
        assert!(svg.contains(">size</text>") && !svg.contains("limit"), "{svg}");
        // A quarter of the 286 units from 42 on; its name stands to the right of it.
        let svg = histogram(&h, &Values { mark: Some((-1.5, "x<y")), ..of });
        let mark = "<path d=\"M113.5,10V132\"/><text class=\"\" x=\"118.5\" y=\"19\">x&lt;y</text>";
        assert!(svg.contains(mark), "{svg}");
        assert_eq!(median(&[0, 1, 3, 0], 0.0, 4.0), Some(2.5));
        assert_eq!(median(&[], 0.0, 4.0), None);
    }
}
