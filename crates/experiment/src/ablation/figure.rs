//! The table of an ablation as a figure (SVG): mean, standard deviation and every seed.

use super::summary::Summary;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::ops::Range;

/// Panels: title, and the metric's index in [`crate::Metrics::values`].
const PANELS: [(&str, usize); 2] = [("image AUROC", 0), ("pixel AUROC", 1)];
/// Pixels.
const ROW: u32 = 30;
const PANEL: u32 = 330;
const HEAD: u32 = 34;
const FOOT: u32 = 30;

/// The figure; a panel a metric, a row a variant. Empty where nothing is finished.
pub fn svg(summary: &Summary) -> String {
    let mut out = String::new();
    let letters = summary.rows.iter().map(|r| r.name.len()).max().unwrap_or(0) as u32;
    let names = 30 + 8 * letters;
    let size = (names + PANEL * PANELS.len() as u32, HEAD + ROW * summary.rows.len() as u32 + FOOT);
    let area = SVGBackend::with_string(&mut out, size).into_drawing_area();
    // Writing into a string cannot fail.
    let _ = draw(&area, summary, names as i32);
    drop(area);
    out
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

fn draw<'a>(area: &Area<'a>, summary: &Summary, names: i32) -> Drawn<'a> {
    area.fill(&WHITE)?;
    let ink = RGBColor(40, 40, 45);
    let text = |size: u32, h: HPos, v: VPos| {
        ("sans-serif", size).into_font().color(&ink).pos(Pos::new(h, v))
    };
    let middle = |row: usize| (HEAD + ROW * row as u32 + ROW / 2) as i32;
    for (i, row) in summary.rows.iter().enumerate() {
        let style = text(14, HPos::Right, VPos::Center);
        area.draw(&Text::new(row.name.clone(), (names - 10, middle(i)), style))?;
    }
    let bottom = (HEAD + ROW * summary.rows.len() as u32) as i32;
    for (panel, (title, metric)) in PANELS.into_iter().enumerate() {
        let left = names + panel as i32 * PANEL as i32;
        let width = PANEL as i32 - 40;
        let range = range(summary, metric);
        let x = |v: f64| {
            left + 10 + ((v - range.start) / (range.end - range.start) * width as f64) as i32
        };
        let centre = left + 10 + width / 2;
        area.draw(&Text::new(title, (centre, 16), text(15, HPos::Center, VPos::Center)))?;
        for tick in ticks(&range) {
            let line = [(x(tick), HEAD as i32 - 4), (x(tick), bottom)];
            area.draw(&PathElement::new(line, RGBColor(225, 225, 230)))?;
            let label = format!("{tick:.2}");
            let style = text(12, HPos::Center, VPos::Top);
            area.draw(&Text::new(label, (x(tick), bottom + 6), style))?;
        }
        for (i, row) in summary.rows.iter().enumerate() {
            let is_reference = row.name == summary.reference;
            let color = if is_reference { RGBColor(200, 80, 30) } else { RGBColor(40, 95, 160) };
            for value in row.by_seed.iter().filter_map(|m| m.values()[metric]) {
                let dot = color.mix(0.35).filled();
                area.draw(&Circle::new((x(value), middle(i)), 3, dot))?;
            }
            let Some(mean) = row.mean.values()[metric] else { continue };
            if let Some(std) = row.std.values()[metric] {
                let ends = [(x(mean - std), middle(i)), (x(mean + std), middle(i))];
                area.draw(&PathElement::new(ends, color.stroke_width(2)))?;
            }
            area.draw(&Circle::new((x(mean), middle(i)), 5, color.filled()))?;
        }
    }
    area.present()
}

/// What the axis spans: all seeds and deviations, with a margin, inside 0 to 1.
fn range(summary: &Summary, metric: usize) -> Range<f64> {
    let mut low = f64::INFINITY;
    let mut high = f64::NEG_INFINITY;
    for row in &summary.rows {
        let spread = row.std.values()[metric].unwrap_or(0.0);
        let mean = row.mean.values()[metric].into_iter().flat_map(|m| [m - spread, m + spread]);
        for v in mean.chain(row.by_seed.iter().filter_map(|m| m.values()[metric])) {
            low = low.min(v);
            high = high.max(v);
        }
    }
    if low > high {
        return 0.0..1.0;
    }
    let margin = (0.08 * (high - low)).max(0.005);
    (low - margin).max(0.0)..(high + margin).min(1.0).max(low - margin + 0.01)
}

/// Round values inside `range`, three to seven of them.
pub(crate) fn ticks(range: &Range<f64>) -> Vec<f64> {
    let span = range.end - range.start;
    let step = [0.005, 0.01, 0.02, 0.05, 0.1].into_iter().find(|s| span / s <= 6.0).unwrap_or(0.2);
    let first = (range.start / step).ceil() as i64;
    (first..).map(|i| i as f64 * step).take_while(|t| *t <= range.end + 1e-9).collect()
}
