//! The rectangle a chart is drawn in: axes, ticks, labels, and where values lie.

use crate::html::{coordinate, escape, tick};

/// One direction of a chart.
#[derive(Clone, Debug)]
pub struct Axis {
    /// The value at its beginning.
    pub low: f64,
    /// The value at its end.
    pub high: f64,
    /// What it shows, with the unit; empty for none.
    pub label: String,
    /// About how many ticks; 0 for none.
    pub ticks: usize,
}

impl Axis {
    /// Over `values` with a little room; from 0 to 1 where there are none.
    pub fn over(values: impl Iterator<Item = f64>, label: &str, ticks: usize) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for v in values.filter(|v| v.is_finite()) {
            low = low.min(v);
            high = high.max(v);
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        // A flat line lies in the middle.
        let room = match high - low {
            0.0 => low.abs().max(1e-9) * 0.1,
            span => span * 0.04,
        };
        Self { low: low - room, high: high + room, label: label.into(), ticks }
    }

    /// Round values in its range, and how far apart they are.
    pub fn round_values(&self) -> (Vec<f64>, f64) {
        let span = self.high - self.low;
        if self.ticks == 0 || span <= 0.0 || !span.is_finite() {
            return (Vec::new(), 1.0);
        }
        let rough = span / self.ticks as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= rough);
        let step = step.unwrap_or(10.0 * power);
        let (first, last) = ((self.low / step - 1e-9).ceil(), (self.high / step + 1e-9).floor());
        let count = (last - first) as usize + 1;
        ((0..count.min(50)).map(|i| (first + i as f64) * step).collect(), step)
    }
}

/// Sizes in units of the drawing, which are about pixels.
#[derive(Clone, Debug)]
pub struct Frame {
    /// All of it.
    pub width: f64,
    /// All of it.
    pub height: f64,
    /// Room for the ticks and the label of `y`.
    pub left: f64,
    /// Room for the ticks and the label of `x`.
    pub bottom: f64,
    /// Left to right.
    pub x: Axis,
    /// Bottom to top.
    pub y: Axis,
}

const TOP: f64 = 10.0;
const RIGHT: f64 = 12.0;

impl Frame {
    /// Where a value of `x` lies.
    pub fn x(&self, v: f64) -> f64 {
        self.left + (v - self.x.low) / (self.x.high - self.x.low) * self.inner_width()
    }

    /// Where a value of `y` lies.
    pub fn y(&self, v: f64) -> f64 {
        TOP + (self.y.high - v) / (self.y.high - self.y.low) * self.inner_height()
    }

    /// Between the axes.
    pub fn inner_width(&self) -> f64 {
        self.width - self.left - RIGHT
    }

    /// Between the axes.
    pub fn inner_height(&self) -> f64 {
        self.height - TOP - self.bottom
    }

    /// The upper end of what is drawn.
    pub fn top(&self) -> f64 {
        TOP
    }

    /// `x,y` of a point.
    pub fn point(&self, [x, y]: [f64; 2]) -> String {
        format!("{},{}", coordinate(self.x(x)), coordinate(self.y(y)))
    }

    /// A path along `points`; vertices less than half a unit from the last are left out.
    pub fn path(&self, points: &[[f64; 2]]) -> String {
        let mut out = String::new();
        let mut last: Option<[f64; 2]> = None;
        for (i, p) in points.iter().enumerate() {
            let at = [self.x(p[0]), self.y(p[1])];
            let near = last.is_some_and(|l| (l[0] - at[0]).abs() + (l[1] - at[1]).abs() < 0.5);
            if near && i + 1 < points.len() {
                continue;
            }
            out += if last.is_none() { "M" } else { "L" };
            out += &format!("{},{}", coordinate(at[0]), coordinate(at[1]));
            last = Some(at);
        }
        out
    }

    /// The whole chart: grid, ticks and labels below `content`. `title` is what a reader who does
    /// not see it is told.
    pub fn draw(&self, title: &str, content: &str) -> String {
        let c = coordinate;
        let mut out = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
            c(self.width),
            c(self.height),
            escape(title)
        );
        let (left, right) = (self.left, self.width - RIGHT);
        let (top, bottom) = (TOP, self.height - self.bottom);
        out += "<g class=\"grid\">";
        let (values, step) = self.y.round_values();
        for v in values {
            let y = self.y(v);
            out += &format!(
                "<path d=\"M{},{}H{}\"/><text class=\"end\" x=\"{}\" y=\"{}\">{}</text>",
                c(left),
                c(y),
                c(right),
                c(left - 7.0),
                c(y + 4.0),
                tick(v, step)
            );
        }
        let (values, step) = self.x.round_values();
        for v in values {
            let x = self.x(v);
            out += &format!(
                "<path d=\"M{},{}v4\"/><text class=\"middle\" x=\"{}\" y=\"{}\">{}</text>",
                c(x),
                c(bottom),
                c(x),
                c(bottom + 17.0),
                tick(v, step)
            );
        }
        out += &format!("<path class=\"axis\" d=\"M{},{}H{}\"/>", c(left), c(bottom), c(right));
        if !self.x.label.is_empty() {
            out += &format!(
                "<text class=\"middle label\" x=\"{}\" y=\"{}\">{}</text>",
                c((left + right) / 2.0),
                c(self.height - 4.0),
                escape(&self.x.label)
            );
        }
        if !self.y.label.is_empty() {
            let (x, y) = (12.0, (top + bottom) / 2.0);
            out += &format!(
                "<text class=\"middle label\" transform=\"translate({},{}) rotate(-90)\">{}</text>",
                c(x),
                c(y),
                escape(&self.y.label)
            );
        }
        out + "</g>" + content + "</svg>"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(low: f64, high: f64, ticks: usize) -> Axis {
        Axis { low, high, label: String::new(), ticks }
    }

    #[test]
    fn a_path_of_known_numbers() {
        let frame = Frame {
            width: 122.0,
            height: 130.0,
            left: 10.0,
            bottom: 20.0,
            x: axis(0.0, 10.0, 2),
            y: axis(0.0, 1.0, 2),
        };
        // 100 units wide from 10 on, 100 high from 10 on.
        let path = frame.path(&[[0.0, 0.0], [2.5, 0.5], [2.51, 0.5], [10.0, 1.0]]);
        assert_eq!(path, "M10,110L35,60L110,10");
        assert_eq!(frame.point([1.05, 0.25]), "20.5,85");
        let svg = frame.draw("a < b", "");
        assert!(svg.contains("aria-label=\"a &lt; b\""), "{svg}");
        assert!(svg.contains(">0.5</text>") && svg.contains(">10</text>"), "{svg}");
    }

    #[test]
    fn round_values_are_round() {
        assert_eq!(
            axis(0.0, 1.0, 5).round_values().0,
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        assert_eq!(axis(-3.0, 17.0, 4).round_values(), (vec![0.0, 5.0, 10.0, 15.0], 5.0));
        assert!(axis(1.0, 1.0, 4).round_values().0.is_empty());
        let flat = Axis::over([2.0, 2.0].into_iter(), "", 3);
        assert!(flat.low < 2.0 && flat.high > 2.0);
        let none = Axis::over(std::iter::empty(), "", 3);
        assert!(none.low < 0.0 && none.high > 1.0);
    }
}
