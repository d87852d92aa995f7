//! A piece of the same image, from elsewhere.

use image::RgbImage;

use super::kind::{Paint, at};
use super::spot::Spot;
use crate::synthetic::draw::Draw;
use crate::synthetic::geometry::{Rotation, blend, minus, scale};

pub(super) fn paint<'a>(image: &'a RgbImage, spot: &'a Spot, draw: &mut Draw) -> Paint<'a> {
    let reach = (spot.side / 2.0 - spot.radius).max(0.0);
    let middle = [image.width() as f32 / 2.0, image.height() as f32 / 2.0];
    let from = draw.point(reach);
    let from = [from[0] + middle[0], from[1] + middle[1]];
    let turn = Rotation::new(draw.range(0.0, std::f32::consts::TAU));
    // Every other one is lit as it was.
    let light = if draw.sign() > 0.0 { 1.0 } else { draw.range(0.8, 1.25) };
    Paint {
        reach: 1.4,
        colour: Box::new(move |p, before| {
            let q = turn.apply(minus(p, spot.centre));
            blend(before, scale(at(image, [from[0] + q[0], from[1] + q[1]]), light), spot.cover(p))
        }),
        area: spot.area(),
    }
}
