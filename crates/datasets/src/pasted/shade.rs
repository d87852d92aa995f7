//! A lighter or darker place, or one of less contrast, with a wide edge.

use image::RgbImage;

use super::kind::{Paint, at};
use super::spot::Spot;
use crate::synthetic::draw::Draw;
use crate::synthetic::geometry::{Colour, minus};

pub(super) fn paint<'a>(image: &'a RgbImage, spot: &'a Spot, draw: &mut Draw) -> Paint<'a> {
    let own: Colour = at(image, spot.centre);
    let light = draw.sign() * draw.range(0.06, 0.3);
    let contrast = draw.range(0.5, 1.2);
    Paint {
        reach: 1.5,
        colour: Box::new(move |p, before| {
            let q = spot.along(minus(p, spot.centre));
            let weight = (1.0 - (q[0] * q[0] + q[1] * q[1]) / 2.0).max(0.0).powi(2);
            let new = |c: usize| own[c] + (before[c] - own[c]) * contrast + light;
            std::array::from_fn(|c| before[c] + (new(c) - before[c]) * weight)
        }),
        area: spot.area(),
    }
}
