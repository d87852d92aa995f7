//! What a run reached as one HTML page: tables, charts and pictures in a single file that needs no
//! network, in light and dark.
//!
//! Plain structs in ([`Report`]), a string out: [`page`] shows one run, [`comparison`] several.
//! This crate knows no model, no tensor and no file; whoever fills the structs does. They are
//! serializable, so that a page can be made again without computing anything.
//!
//! Charts are SVG drawn here, pictures are `data:` addresses, and outlines are paths. All text
//! that comes from outside is escaped. Scripts only sort tables, show values under the pointer and
//! bring out one class; without them everything is still there.

mod charts;
mod compare;
pub mod contour;
mod data;
mod html;
mod page;
mod sections;

pub use compare::comparison;
pub use contour::{Ring, outline};
pub use data::*;
pub use page::page;
