//! AUROC against seconds of training, all runs in one figure (SVG).

use super::load;
use crate::ablation::figure::ticks;
use crate::error::ExperimentError;
use crate::metrics_log;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What was reached after some seconds of training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CurvePoint {
    /// Seconds of training, features not counted.
    pub seconds: f64,
    /// Means over classes of image and pixel AUROC.
    pub auroc: [Option<f64>; 2],
}

/// The points of one experiment, by seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Name of the experiment, and the seed where runs of it have several.
    pub name: String,
    /// From the fewest seconds.
    pub points: Vec<CurvePoint>,
}

/// The curves of the runs at `paths`, named as for [`super::compare()`]: a run gives a point for every pass that
/// was evaluated, and runs of one experiment and seed share a curve, in the order of the first.
///
/// # Errors
/// A path without results.
pub fn curves(paths: &[PathBuf]) -> Result<Vec<Curve>, ExperimentError> {
    let mut all: Vec<((String, u64), Vec<CurvePoint>)> = Vec::new();
    for path in paths {
        let (found, results) = load::results(path)?;
        let key = (results.name.clone(), results.settings.seed);
        let mut points = of_passes(&found, results.passes)?;
        points.push(CurvePoint {
            seconds: results.seconds.training,
            auroc: [results.mean.image_auroc, results.mean.pixel_auroc],
        });
        match all.iter_mut().find(|(k, _)| *k == key) {
            Some((_, own)) => own.append(&mut points),
            None => all.push((key, points)),
        }
    }
    let mut seeds: BTreeMap<&str, usize> = BTreeMap::new();
    all.iter().for_each(|((name, _), _)| *seeds.entry(name).or_default() += 1);
    let curve = |((name, seed), points): &((String, u64), Vec<CurvePoint>)| {
        let several = seeds.get(name.as_str()).is_some_and(|n| *n > 1);
        let mut points = points.clone();
        points.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        Curve { name: if several { format!("{name}, seed {seed}") } else { name.clone() }, points }
    };
    Ok(all.iter().map(curve).collect())
}

/// Those of the passes before the last, where the run's folder still has its log.
fn of_passes(results: &Path, passes: usize) -> Result<Vec<CurvePoint>, ExperimentError> {
    let log = metrics_log::read(&results.with_file_name("metrics.jsonl"))?;
    let mut seconds = 0.0;
    let mut out = Vec::new();
    for record in log.iter().filter(|r| r.pass < passes) {
        seconds += record.seconds;
        if record.image_auroc.is_some() || record.pixel_auroc.is_some() {
            out.push(CurvePoint { seconds, auroc: [record.image_auroc, record.pixel_auroc] });
        }
    }
    Ok(out)
}

/// Panels: title, and the index in [`CurvePoint::auroc`].
const PANELS: [&str; 2] = ["image AUROC", "pixel AUROC"];
/// Pixels.
const PANEL: i32 = 400;
const HEIGHT: i32 = 290;
const LEFT: i32 = 52;
const HEAD: i32 = 34;
const FOOT: i32 = 46;
const LEGEND: i32 = 22;
/// Told apart by people who see colours otherwise too.
const COLORS: [RGBColor; 6] = [
    RGBColor(40, 95, 160),
    RGBColor(200, 80, 30),
    RGBColor(30, 130, 90),
    RGBColor(130, 70, 150),
    RGBColor(150, 120, 20),
    RGBColor(90, 90, 95),
];
/// No run trains in less, and a logarithm needs a beginning.
const LEAST: f64 = 1.0;

/// The figure: two panels, seconds on a logarithmic axis.
pub fn svg(curves: &[Curve]) -> String {
    let mut out = String::new();
    let height = HEAD + HEIGHT + FOOT + LEGEND * curves.len() as i32;
    let size = ((PANEL * PANELS.len() as i32) as u32, height as u32);
    let area = SVGBackend::with_string(&mut out, size).into_drawing_area();
    // Writing into a string cannot fail.
    let _ = draw(&area, curves);
    drop(area);
    out
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw<'a>(area: &Area<'a>, curves: &[Curve]) -> Drawn<'a> {
    area.fill(&WHITE)?;
    let ink = RGBColor(40, 40, 45);
    let text = |size: u32, h: HPos, v: VPos| {
        ("sans-serif", size).into_font().color(&ink).pos(Pos::new(h, v))
    };
    let grid = RGBColor(225, 225, 230);
    let all = || curves.iter().flat_map(|c| &c.points);
    let seconds = span(all().map(|p| p.seconds.max(LEAST).log10()), 0.05);
    let bottom = HEAD + HEIGHT;
    for (panel, title) in PANELS.into_iter().enumerate() {
        let left = panel as i32 * PANEL + LEFT;
        let width = PANEL - LEFT - 24;
        let values = span(all().filter_map(|p| p.auroc[panel]), 0.004);
        let x = |log: f64| left + share(&seconds, log, width);
        let y = |v: f64| bottom - share(&values, v, HEIGHT);
        let centre = left + width / 2;
        area.draw(&Text::new(title, (centre, 16), text(15, HPos::Center, VPos::Center)))?;
        for tick in ticks(&values) {
            area.draw(&PathElement::new([(left, y(tick)), (left + width, y(tick))], grid))?;
            let style = text(12, HPos::Right, VPos::Center);
            area.draw(&Text::new(format!("{tick:.2}"), (left - 6, y(tick)), style))?;
        }
        for (at, label) in decades(&seconds) {
            area.draw(&PathElement::new([(x(at), HEAD), (x(at), bottom + 4)], grid))?;
            let style = text(12, HPos::Center, VPos::Top);
            area.draw(&Text::new(label, (x(at), bottom + 8), style))?;
        }
        let style = text(12, HPos::Center, VPos::Top);
        area.draw(&Text::new("seconds of training", (centre, bottom + 26), style))?;
        for (i, curve) in curves.iter().enumerate() {
            let color = COLORS[i % COLORS.len()];
            let at = |p: &CurvePoint| Some((x(p.seconds.max(LEAST).log10()), y(p.auroc[panel]?)));
            let points: Vec<(i32, i32)> = curve.points.iter().filter_map(at).collect();
            area.draw(&PathElement::new(points.clone(), color.stroke_width(2)))?;
            for point in points {
                area.draw(&Circle::new(point, 4, color.filled()))?;
            }
        }
    }
    for (i, curve) in curves.iter().enumerate() {
        let (color, y) = (COLORS[i % COLORS.len()], bottom + FOOT + LEGEND * i as i32 + 6);
        area.draw(&PathElement::new([(LEFT, y), (LEFT + 24, y)], color.stroke_width(2)))?;
        area.draw(&Circle::new((LEFT + 12, y), 4, color.filled()))?;
        let style = text(13, HPos::Left, VPos::Center);
        area.draw(&Text::new(curve.name.clone(), (LEFT + 34, y), style))?;
    }
    area.present()
}

/// How far `v` is along `range`, of `length` pixels.
fn share(range: &Range<f64>, v: f64, length: i32) -> i32 {
    ((v - range.start) / (range.end - range.start) * f64::from(length)).round() as i32
}

/// All of `values` with a margin of a twentieth, and of `least` at the least.
fn span(values: impl Iterator<Item = f64>, least: f64) -> Range<f64> {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        return 0.0..1.0;
    }
    let margin = (0.05 * (high - low)).max(least);
    low - margin..high + margin
}

/// 1, 3, 10, 30 and so on inside `range`, which is of logarithms.
fn decades(range: &Range<f64>) -> Vec<(f64, String)> {
    let all = (0..12).flat_map(|power| [1.0, 3.0].map(|m| m * 10f64.powi(power)));
    all.map(|v| (v.log10(), format!("{v}"))).filter(|(log, _)| range.contains(log)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_hold_every_value_and_ticks_are_round() {
        let range = span([0.871, 0.943].into_iter(), 0.004);
        assert!(range.start < 0.871 && range.end > 0.943);
        let found = ticks(&range);
        assert!(found.iter().all(|t| range.contains(t)) && found.len() >= 3, "{found:?}");
        let labels: Vec<String> = decades(&(0.5..2.2)).into_iter().map(|d| d.1).collect();
        assert_eq!(labels, ["10", "30", "100"]);
        assert_eq!(share(&(1.0..3.0), 2.5, 200), 150);
        assert_eq!(span(std::iter::empty(), 0.1), 0.0..1.0);
    }
}
