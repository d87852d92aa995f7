//! The image pushed aside.

use image::RgbImage;

use super::kind::{Paint, at};
use super::spot::Spot;
use crate::synthetic::draw::Draw;
use crate::synthetic::geometry::minus;

pub(super) fn paint<'a>(image: &'a RgbImage, spot: &'a Spot, draw: &mut Draw) -> Paint<'a> {
    let push = spot.radius * draw.range(0.3, 0.7);
    let along = spot.turn.apply([push, 0.0]);
    Paint {
        reach: 1.4,
        colour: Box::new(move |p, _| {
            let q = minus(p, spot.centre);
            let far = (q[0] * q[0] + q[1] * q[1]) / (1.96 * spot.radius * spot.radius);
            let inside = (1.0 - far).max(0.0).powi(2);
            at(image, [p[0] - along[0] * inside, p[1] - along[1] * inside])
        }),
        area: 0.5 * spot.area(),
    }
}
