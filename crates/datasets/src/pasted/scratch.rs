//! A thin line.

use super::kind::Paint;
use super::spot::Spot;
use crate::synthetic::draw::Draw;
use crate::synthetic::geometry::{blend, minus, smooth};
use crate::synthetic::noise::{fractal, value};

pub(super) fn paint<'a>(spot: &'a Spot, draw: &mut Draw) -> Paint<'a> {
    let half = (spot.radius * draw.range(0.02, 0.08)).max(0.6);
    let bend = draw.range(-0.6, 0.6);
    let shade = if draw.sign() > 0.0 { 1.0 } else { 0.0 };
    let weight = draw.range(0.25, 0.9);
    let length = 1.5 * spot.radius;
    Paint {
        reach: 2.2,
        colour: Box::new(move |p, before| {
            let q = spot.turn.undo(minus(p, spot.centre));
            let t = q[0] / length;
            if t.abs() > 1.0 {
                return before;
            }
            let wobble = 0.06 * length * fractal([t * 4.0, 0.5], spot.seed);
            let across = (q[1] - bend * length * (t * t - 0.3) - wobble).abs();
            let broken = 0.6 + 0.4 * value([t * 9.0, 3.0], spot.seed);
            let line = 1.0 - smooth(half, half + 1.0, across);
            blend(before, [shade; 3], weight * line * broken * (1.0 - t * t).sqrt())
        }),
        area: 2.0 * length * 2.0 * half,
    }
}
