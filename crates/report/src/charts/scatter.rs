//! Vectors in a plane: dots where normal, crosses where anomalous, rings at class centres.

use super::{Axis, Frame, color_class};
use crate::data::LatentLevel;
use crate::html::{coordinate, escape};

/// Share of the vectors at each end of an axis that may lie beyond it.
const CUT: f64 = 0.004;
/// A name's distance above its ring, its height, and the width of a letter.
const ABOVE: f64 = 12.0;
const LINE: f64 = 15.0;
const LETTER: f64 = 8.0;
/// Half a ring.
const FOOT: f64 = 7.0;

/// The chart. Vectors beyond its border are drawn at it.
pub fn scatter(level: &LatentLevel) -> String {
    let percent = |v: f32| format!("{:.1} % of the variance", 100.0 * v);
    let axis = |i: usize, name: &str| {
        let (low, high) = range(level, i);
        let label = format!("{name} component, {}", percent(level.explained[i]));
        Axis { low, high, label, ticks: 6 }
    };
    let frame = Frame {
        width: 720.0,
        height: 560.0,
        left: 58.0,
        bottom: 46.0,
        x: axis(0, "first"),
        y: axis(1, "second"),
    };
    let (dot, cross) = ("h0", "m-3-3l6 6m0-6l-6 6");
    let mut content = String::new();
    for (i, class) in level.classes.iter().enumerate() {
        content += &marks(&frame, &class.normal, &format!("dots {}", color_class(i)), i, dot);
    }
    for (i, class) in level.classes.iter().enumerate() {
        content += &marks(&frame, &class.anomalous, "crosses", i, cross);
    }
    content += &centers(&frame, level);
    let title = format!("Latent vectors of level {} in their principal plane", level.level);
    frame.draw(&title, &content)
}

/// Rings at the centres with their names, which move upwards where they would cover each other.
fn centers(frame: &Frame, level: &LatentLevel) -> String {
    let of_classes = level.classes.iter().enumerate();
    let mut all: Vec<(Option<usize>, &str, [f64; 2])> = of_classes
        .filter_map(|(i, c)| Some((Some(i), c.class.as_str(), place(frame, c.center?))))
        .chain(level.shared_center.map(|c| (None, "one centre for all", place(frame, c))))
        .collect();
    // From the lowest, so that each finds its room above those before it.
    all.sort_by(|a, b| b.2[1].total_cmp(&a.2[1]));
    // Rings are in the way too: as of a name whose foot is at the ring's.
    let mut taken: Vec<[f64; 3]> = all.iter().map(|(_, _, [x, y])| [*x, y + FOOT, FOOT]).collect();
    let (mut rings, mut names) = (String::new(), String::new());
    for (class, name, [x, y]) in all {
        let half = LETTER * name.chars().count() as f64 / 2.0;
        let mut at = y - ABOVE;
        let covers = |[u, v, w]: &&[f64; 3], at: f64| {
            (u - x).abs() < half + w && (v - at).abs() < LINE - 1e-6
        };
        while let Some(other) = taken.iter().find(|t| covers(t, at)) {
            at = other[1] - LINE;
        }
        taken.push([x, at, half]);
        let style = class.map_or("center\"".into(), |i| {
            format!("center {}\" data-class=\"{i}\"", color_class(i))
        });
        let (x, y, at, name) = (coordinate(x), coordinate(y), coordinate(at), escape(name));
        rings += &format!(
            "<g class=\"{style}><circle cx=\"{x}\" cy=\"{y}\" r=\"7\" data-tip=\"centre: {name}\"/></g>"
        );
        names += &format!("<g class=\"{style}><text x=\"{x}\" y=\"{at}\">{name}</text></g>");
    }
    rings + &names
}

fn marks(frame: &Frame, points: &[[f32; 2]], style: &str, class: usize, mark: &str) -> String {
    if points.is_empty() {
        return String::new();
    }
    let mut d = String::new();
    for p in points {
        let [x, y] = place(frame, *p).map(coordinate);
        d += &format!("M{x},{y}{mark}");
    }
    format!("<g class=\"{style}\" data-class=\"{class}\"><path d=\"{d}\"/></g>")
}

/// Where a vector is drawn, at the border at most.
fn place(frame: &Frame, [x, y]: [f32; 2]) -> [f64; 2] {
    let inside = |v: f32, a: &Axis| f64::from(v).clamp(a.low, a.high);
    [frame.x(inside(x, &frame.x)), frame.y(inside(y, &frame.y))]
}

/// What an axis spans: the vectors but for the outermost, and every centre.
fn range(level: &LatentLevel, axis: usize) -> (f64, f64) {
    let all = level.classes.iter().flat_map(|c| c.normal.iter().chain(&c.anomalous));
    let mut values: Vec<f64> = all.map(|p| f64::from(p[axis])).filter(|v| v.is_finite()).collect();
    values.sort_unstable_by(f64::total_cmp);
    let cut = (values.len() as f64 * CUT) as usize;
    let inner = values.get(cut..values.len() - cut).unwrap_or_default();
    let ends = inner.first().into_iter().chain(inner.last()).copied();
    let centers = level.classes.iter().filter_map(|c| c.center).chain(level.shared_center);
    let over = Axis::over(ends.chain(centers.map(|c| f64::from(c[axis]))), "", 0);
    (over.low, over.high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::LatentClass;

    #[test]
    fn marks_lie_where_they_should() {
        let class = LatentClass {
            class: "<b>".into(),
            normal: vec![[0.0, 0.0], [1.0, 1.0]],
            anomalous: vec![[0.5, 0.5]],
            center: Some([0.5, 0.0]),
        };
        let level = LatentLevel { level: "1".into(), classes: vec![class], ..Default::default() };
        let svg = scatter(&level);
        // 650 wide from 58 on with 4 % of the span to spare at each end, 504 high from 10 on.
        let x = |v: f64| format!("{:.1}", 58.0 + 650.0 * (v + 0.04) / 1.08);
        let y = |v: f64| format!("{:.1}", 10.0 + 504.0 * (1.04 - v) / 1.08);
        let dots = format!("M{},{}h0M{},{}h0", x(0.0), y(0.0), x(1.0), y(1.0));
        assert!(svg.contains(&dots), "{dots} in {svg}");
        assert!(svg.contains("M383,262m-3-3"), "{svg}");
        assert!(svg.contains(">&lt;b&gt;</text>") && !svg.contains("<b>"), "{svg}");
    }

    #[test]
    fn names_of_centres_do_not_cover_each_other() {
        let class = |name: &str, x: f32| LatentClass {
            class: name.into(),
            normal: vec![[-9.0, -9.0], [9.0, 9.0]],
            center: Some([x, 0.0]),
            ..Default::default()
        };
        let classes = vec![class("first", 0.0), class("second", 0.1), class("third", 8.0)];
        let svg = scatter(&LatentLevel { level: "1".into(), classes, ..Default::default() });
        let y = |name: &str| -> f64 {
            let before = svg.split(&format!("\">{name}</text>")).next().unwrap();
            before.rsplit("y=\"").next().unwrap().parse().unwrap()
        };
        assert!((y("first") - y("second")).abs() >= LINE - 0.2, "{} {}", y("first"), y("second"));
        assert_eq!(y("third"), 250.0);
    }
}
