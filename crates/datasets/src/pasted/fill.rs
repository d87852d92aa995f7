//! A piece in one colour.

use image::RgbImage;

use super::kind::{Paint, at};
use super::spot::Spot;
use crate::synthetic::draw::Draw;
use crate::synthetic::geometry::{Colour, blend, scale};

pub(super) fn paint<'a>(image: &'a RgbImage, spot: &'a Spot, draw: &mut Draw) -> Paint<'a> {
    // A colour from nearby is most often one that the product has there.
    let by = draw.point(3.0 * spot.radius);
    let own: Colour = at(image, [spot.centre[0] + by[0], spot.centre[1] + by[1]]);
    // Every other one is a part like any of the product's, and covers what was there.
    let (light, weight) = match draw.sign() > 0.0 {
        true => (1.0, 1.0),
        false => (draw.range(0.85, 1.15), draw.range(0.3, 1.0)),
    };
    let colour = scale(own, light);
    Paint {
        reach: 1.4,
        colour: Box::new(move |p, before| blend(before, colour, weight * spot.cover(p))),
        area: spot.area(),
    }
}
