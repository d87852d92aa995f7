//! A blob of coloured noise.

use super::kind::Paint;
use super::spot::Spot;
use crate::synthetic::draw::Draw;
use crate::synthetic::geometry::{Colour, blend};
use crate::synthetic::noise::fractal;

pub(super) fn paint<'a>(spot: &'a Spot, draw: &mut Draw) -> Paint<'a> {
    let mut colour = || -> Colour {
        let grey = draw.range(0.0, 1.0);
        [grey + draw.around(0.2), grey + draw.around(0.2), grey + draw.around(0.2)]
    };
    let (dark, light) = (colour(), colour());
    let grain = spot.radius * draw.range(0.15, 1.5);
    let weight = draw.range(0.15, 0.8);
    Paint {
        reach: 1.4,
        colour: Box::new(move |p, before| {
            let mixed = 0.5 + 0.9 * fractal([p[0] / grain, p[1] / grain], spot.seed ^ 0x51ed);
            blend(before, blend(dark, light, mixed.clamp(0.0, 1.0)), weight * spot.cover(p))
        }),
        area: spot.area(),
    }
}
