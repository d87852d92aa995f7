//! ROC and precision-recall curves.

use super::{Axis, Frame, color_class};
use crate::html::escape;

/// Which curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CurveKind {
    /// True over false positive rate, joined by lines.
    Roc,
    /// Precision over recall, joined by steps.
    PrecisionRecall,
}

/// Points of a mean curve.
const GRID: usize = 200;

impl CurveKind {
    /// `points` with the corners of steps.
    fn corners(self, points: &[[f32; 2]]) -> Vec<[f64; 2]> {
        let wide = points.iter().map(|p| p.map(f64::from));
        if self == Self::Roc {
            return wide.collect();
        }
        // Precision holds back to the recall before, and from the first vertex to recall 0.
        let mut recall = 0.0;
        let both = |[r, p]: [f64; 2]| [[std::mem::replace(&mut recall, r), p], [r, p]];
        wide.flat_map(both).collect()
    }

    /// The height of the curve at `x`.
    fn height(self, points: &[[f32; 2]], x: f64) -> Option<f64> {
        let wide = |p: &[f32; 2]| p.map(f64::from);
        let (first, last) = (wide(points.first()?), wide(points.last()?));
        if self == Self::PrecisionRecall {
            // The precision of the first recall that reaches x.
            return Some(points.iter().map(wide).find(|p| p[0] >= x - 1e-9).unwrap_or(last)[1]);
        }
        // At a rise the top counts: the best rate that x allows.
        let after = points.iter().position(|p| f64::from(p[0]) > x);
        let Some(after) = after else { return Some(last[1]) };
        if after == 0 {
            return Some(first[1]);
        }
        let ([x0, y0], [x1, y1]) = (wide(&points[after - 1]), wide(&points[after]));
        Some(y0 + (x - x0) / (x1 - x0) * (y1 - y0))
    }

    /// The mean over curves at every abscissa; empty curves are left out.
    pub fn mean(self, curves: &[&[[f32; 2]]]) -> Vec<[f32; 2]> {
        let curves: Vec<&&[[f32; 2]]> = curves.iter().filter(|c| !c.is_empty()).collect();
        if curves.is_empty() {
            return Vec::new();
        }
        let at = |x: f64| {
            let sum: f64 = curves.iter().filter_map(|c| self.height(c, x)).sum();
            sum / curves.len() as f64
        };
        let inner = (0..=GRID).map(|i| i as f64 / GRID as f64).map(|x| [x as f32, at(x) as f32]);
        match self {
            Self::Roc => std::iter::once([0.0, 0.0]).chain(inner).collect(),
            Self::PrecisionRecall => inner.collect(),
        }
    }
}

/// A curve with its name.
struct Line<'a> {
    name: &'a str,
    points: &'a [[f32; 2]],
}

/// A chart of `curves`, each a name and its points, coloured in their order, and of `mean` above
/// them, where there is one.
pub fn curve(
    kind: CurveKind,
    what: &str,
    curves: &[(&str, &[[f32; 2]])],
    mean: Option<&[[f32; 2]]>,
) -> String {
    let (title, x, y) = match kind {
        CurveKind::Roc => ("ROC", "false positive rate", "true positive rate"),
        CurveKind::PrecisionRecall => ("Precision and recall", "recall", "precision"),
    };
    let axis = |label: &str| Axis { low: 0.0, high: 1.0, label: label.into(), ticks: 5 };
    let frame =
        Frame { width: 440.0, height: 340.0, left: 58.0, bottom: 44.0, x: axis(x), y: axis(y) };
    let mut content = String::new();
    if kind == CurveKind::Roc {
        let chance = frame.path(&[[0.0, 0.0], [1.0, 1.0]]);
        content += &format!("<path class=\"chance\" d=\"{chance}\"/>");
    }
    let lines = curves.iter().map(|(name, points)| Line { name, points });
    let thin = if mean.is_some() { " thin" } else { "" };
    for (i, l) in lines.enumerate().filter(|(_, l)| !l.points.is_empty()) {
        content += &format!(
            "<g class=\"line{thin} {}\" data-class=\"{i}\"><path data-tip=\"{}\" d=\"{}\"/></g>",
            color_class(i),
            escape(l.name),
            frame.path(&kind.corners(l.points))
        );
    }
    if let Some(points) = mean.filter(|m| !m.is_empty()) {
        let d = frame.path(&points.iter().map(|p| p.map(f64::from)).collect::<Vec<_>>());
        content += &format!("<g class=\"line ink bold\"><path data-tip=\"mean\" d=\"{d}\"/></g>");
    }
    frame.draw(&format!("{title} of {what}"), &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROC: &[[f32; 2]] = &[[0.0, 0.0], [0.0, 0.5], [0.5, 0.5], [0.5, 1.0], [1.0, 1.0]];
    const PR: &[[f32; 2]] = &[[0.5, 1.0], [1.0, 0.6]];

    #[test]
    fn heights_between_vertices() {
        let at = |x| CurveKind::Roc.height(ROC, x).unwrap();
        assert_eq!([at(0.0), at(0.25), at(0.5), at(0.75), at(1.0)], [0.5, 0.5, 1.0, 1.0, 1.0]);
        let slope: &[[f32; 2]] = &[[0.0, 0.0], [1.0, 1.0]];
        assert_eq!(CurveKind::Roc.height(slope, 0.25), Some(0.25));
        let at = |x| CurveKind::PrecisionRecall.height(PR, x).unwrap();
        assert!([at(0.0), at(0.5)] == [1.0, 1.0] && (at(0.51) - 0.6).abs() < 1e-6);
    }

    #[test]
    fn the_mean_of_two() {
        let slope: &[[f32; 2]] = &[[0.0, 0.0], [1.0, 1.0]];
        let mean = CurveKind::Roc.mean(&[ROC, slope, &[]]);
        assert_eq!((mean[0], mean[1], mean[mean.len() - 1]), ([0.0; 2], [0.0, 0.25], [1.0, 1.0]));
        let at_quarter = mean[1 + GRID / 4];
        assert_eq!(at_quarter, [0.25, 0.375]);
        assert!(CurveKind::Roc.mean(&[&[]]).is_empty());
    }

    #[test]
    fn steps_of_a_known_curve() {
        let svg = curve(CurveKind::PrecisionRecall, "x", &[("a", PR)], None);
        // 370 wide from 58 on, 286 high from 10 on.
        let y = 10.0 + 0.4 * 286.0;
        assert!(svg.contains(&format!("d=\"M58,10L243,10L243,{y:.1}L428,{y:.1}\"")), "{svg}");
    }
}
