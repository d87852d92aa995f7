//! Charts as SVG, one kind a file. Colours and fonts are the style sheet's, so that a chart is
//! right in light and dark.

mod frame;
mod histogram;
mod line;
mod roc;
mod scatter;

pub use frame::{Axis, Frame};
pub use histogram::{Values, histogram, median};
pub use line::{LineChart, Series, line};
pub use roc::{CurveKind, curve};
pub use scatter::scatter;

/// Colours of classes and runs; more of them begin again.
pub const COLORS: usize = 8;

/// The style of the `index`-th class or run: its colour, and dashes once colours begin again.
pub fn color_class(index: usize) -> String {
    let dashed = if index / COLORS % 2 == 1 { " dashed" } else { "" };
    format!("c{}{dashed}", index % COLORS)
}
