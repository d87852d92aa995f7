//! Values over passes.

use super::{Axis, Frame, color_class};
use crate::html::{coordinate, escape, tick};

/// One line.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it is.
    pub name: String,
    /// Index of its colour; `None` is the ink of text.
    pub color: Option<usize>,
    /// Pass and value, in order.
    pub points: Vec<[f64; 2]>,
}

/// A chart of lines that share their axes.
#[derive(Clone, Debug)]
pub struct LineChart {
    /// What is told to readers who do not see it.
    pub title: String,
    /// The lines.
    pub series: Vec<Series>,
    /// First and last pass.
    pub passes: [f64; 2],
    /// A pass before which a line is drawn from top to bottom, and what is written at it.
    pub mark: Option<(f64, String)>,
    /// Whether points are marked, for values that are known at a few passes alone.
    pub dots: bool,
}

/// Points with values under the pointer; more are thinned.
const SHOWN: usize = 120;

/// The chart.
pub fn line(chart: &LineChart) -> String {
    let values = chart.series.iter().flat_map(|s| s.points.iter().map(|p| p[1]));
    let [first, last] = chart.passes;
    let frame = Frame {
        width: 340.0,
        height: 190.0,
        left: 48.0,
        bottom: 38.0,
        x: Axis { low: first, high: last.max(first + 1.0), label: "pass".into(), ticks: 5 },
        y: Axis::over(values, "", 4),
    };
    let mut content = String::new();
    if let Some((pass, text)) = &chart.mark {
        let x = frame.x(pass - 0.5);
        content += &format!(
            "<g class=\"mark\"><path d=\"M{x},{}V{}\"/><text x=\"{}\" y=\"{}\">{}</text></g>",
            coordinate(frame.top()),
            coordinate(frame.height - frame.bottom),
            coordinate(frame.x(pass - 0.5) - 1.0),
            coordinate(frame.top() - 1.0),
            escape(text),
            x = coordinate(x),
        );
    }
    for s in &chart.series {
        content += &of_series(&frame, s, chart.dots);
    }
    frame.draw(&chart.title, &content)
}

fn of_series(frame: &Frame, s: &Series, dots: bool) -> String {
    let class = s.color.map_or("ink".into(), color_class);
    let data = s.color.map_or(String::new(), |c| format!(" data-class=\"{c}\""));
    let mut out =
        format!("<g class=\"line {class}\"{data}><path d=\"{}\"/>", frame.path(&s.points));
    let every = s.points.len().div_ceil(SHOWN).max(1);
    let digits = (frame.y.high - frame.y.low) / 1000.0;
    for p in s.points.iter().step_by(every) {
        let [x, y] = [frame.x(p[0]), frame.y(p[1])].map(coordinate);
        let shown = if dots || s.points.len() == 1 { "dot" } else { "spot" };
        out += &format!(
            "<circle class=\"{shown}\" cx=\"{x}\" cy=\"{y}\" r=\"3\" data-tip=\"{}, pass {}: {}\"/>",
            escape(&s.name),
            p[0],
            tick(p[1], digits)
        );
    }
    out + "</g>"
}
