//! The kinds of synthetic anomaly, and how any of them becomes pixels.

use image::{Rgb, RgbImage};
use serde::{Deserialize, Serialize};

use super::spot::Spot;
use super::tones::Tones;
use super::{cut_paste, fill, scratch, shade, texture, warp};
use crate::synthetic::draw::Draw;
use crate::synthetic::geometry::{Colour, Point};

/// What is pasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PastedKind {
    /// A piece of the same image, from elsewhere, turned.
    CutPaste,
    /// A piece in one colour of the image: a part too much, or one that is not there.
    Fill,
    /// A thin line.
    Scratch,
    /// A lighter or darker place.
    Shade,
    /// A blob of coloured noise.
    Texture,
    /// The image pushed aside.
    Warp,
}

/// New colours of pixels: the colour at a point (pixels), given what was there, and how far it reaches from the
/// spot's centre, in its radii.
pub(super) struct Paint<'a> {
    pub(super) reach: f32,
    pub(super) colour: Box<dyn Fn(Point, Colour) -> Colour + 'a>,
    /// Pixels that it covers, about.
    pub(super) area: f32,
}

impl PastedKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::CutPaste, Self::Fill, Self::Scratch, Self::Shade, Self::Texture, Self::Warp];

    /// The name in ids and configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::CutPaste => "cut_paste",
            Self::Fill => "fill",
            Self::Scratch => "scratch",
            Self::Shade => "shade",
            Self::Texture => "texture",
            Self::Warp => "warp",
        }
    }

    /// The image with an anomaly of this kind at `spot`, in the image's `tones` where it has but two, and about
    /// how many pixels it covers.
    pub(super) fn paste(
        self,
        image: &RgbImage,
        tones: Option<&Tones>,
        spot: &Spot,
        draw: &mut Draw,
    ) -> (RgbImage, f32) {
        let paint = match self {
            Self::CutPaste => cut_paste::paint(image, spot, draw),
            Self::Fill => fill::paint(image, spot, draw),
            Self::Scratch => scratch::paint(spot, draw),
            Self::Shade => shade::paint(image, spot, draw),
            Self::Texture => texture::paint(spot, draw),
            Self::Warp => warp::paint(image, spot, draw),
        };
        let between = draw.range(0.05, 0.95);
        let mut out = image.clone();
        let [columns, rows] = spot.bounds(image, paint.reach);
        for y in rows {
            for x in columns.clone() {
                let before = image.get_pixel(x, y).0.map(|v| f32::from(v) / 255.0);
                let mut after = (paint.colour)([x as f32 + 0.5, y as f32 + 0.5], before);
                // Soft edges of the product's own are left as they are.
                if after == before {
                    continue;
                }
                if let Some(tones) = tones {
                    after = tones.taken(after, between);
                }
                let bytes = after.map(|v| (v * 255.0).round().clamp(0.0, 255.0) as u8);
                out.put_pixel(x, y, Rgb(bytes));
            }
        }
        (out, paint.area)
    }
}

/// The colour of an image between pixels; beyond its edge, the edge's.
pub(super) fn at(image: &RgbImage, p: Point) -> Colour {
    let last = [image.width() - 1, image.height() - 1];
    let along = |v: f32, last: u32| {
        let v = (v - 0.5).clamp(0.0, last as f32);
        let low = v.floor() as u32;
        (low, (low + 1).min(last), v - v.floor())
    };
    let (x0, x1, fx) = along(p[0], last[0]);
    let (y0, y1, fy) = along(p[1], last[1]);
    std::array::from_fn(|c| {
        let v = |x, y| f32::from(image.get_pixel(x, y)[c]) / 255.0;
        let (top, bottom) =
            (v(x0, y0) * (1.0 - fx) + v(x1, y0) * fx, v(x0, y1) * (1.0 - fx) + v(x1, y1) * fx);
        top * (1.0 - fy) + bottom * fy
    })
}
