//! A defect of one image: where it is, how large, and what it does to coordinates and colours.

use super::draw::Draw;
use super::geometry::{Colour, Point, Rotation, blend, length, minus, smooth};
use super::noise::{fractal, value};

/// What a defect does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A faint line on the surface.
    Scratch,
    /// Something spilled or grown on the surface.
    Stain,
    /// The shape is pushed aside locally.
    Dent,
    /// The surface's structure differs locally; the product says how.
    Patch,
    /// A part is not there; the product says which.
    Missing,
    /// A part or print is there but out of place; the product says which.
    Misplaced,
}

/// One defect.
#[derive(Debug, Clone)]
pub(crate) struct Flaw {
    pub(crate) kind: Kind,
    pub(crate) centre: Point,
    /// Extent, in units of half the image.
    pub(crate) radius: f32,
    /// How marked it is; 1 is what the product was designed for.
    pub(crate) strength: f32,
    /// Chooses among the product's parts, and the outline.
    pub(crate) seed: u32,
    turn: Rotation,
    bend: f32,
    /// 1 for what brightens or bulges, -1 for what darkens or sinks.
    pub(crate) sign: f32,
    tint: Colour,
    pixel: f32,
}

impl Flaw {
    /// A defect at `centre`; `tint` is what a stain blends towards, `pixel` the size of a pixel.
    pub(crate) fn new(
        kind: Kind,
        centre: Point,
        tint: Colour,
        strength: f32,
        pixel: f32,
        draw: &mut Draw,
    ) -> Self {
        let radius = match kind {
            Kind::Scratch => draw.range(0.2, 0.38),
            Kind::Stain => draw.range(0.09, 0.19),
            Kind::Dent => draw.range(0.16, 0.26),
            Kind::Patch => draw.range(0.13, 0.22),
            Kind::Missing | Kind::Misplaced => draw.range(0.12, 0.2),
        };
        Self {
            kind,
            centre,
            // Weaker defects are smaller too, but not in proportion.
            radius: radius * strength.clamp(0.3, 2.0).sqrt(),
            strength,
            seed: draw.bits(),
            turn: Rotation::new(draw.range(0.0, std::f32::consts::TAU)),
            bend: draw.range(-0.6, 0.6),
            sign: draw.sign(),
            tint,
            pixel,
        }
    }

    /// 1 inside an uneven outline around the centre, 0 outside; `soft` is the width of the edge
    /// as a share of the radius.
    #[inline]
    pub(crate) fn blob(&self, p: Point, soft: f32) -> f32 {
        let q = minus(p, self.centre);
        let distance = length(q) / self.radius;
        if distance > 1.5 {
            return 0.0;
        }
        let outline =
            0.3 * fractal([q[0] / self.radius * 1.3, q[1] / self.radius * 1.3], self.seed);
        1.0 - smooth(1.0 - soft, 1.0, distance + outline)
    }

    /// Where the surface seen at `p` was before the dent.
    #[inline]
    pub(crate) fn warp(&self, p: Point) -> Point {
        if self.kind != Kind::Dent {
            return p;
        }
        let q = minus(p, self.centre);
        let push = self.falloff(q) * 0.34 * self.radius * self.strength;
        let along = self.turn.apply([1.0, 0.0]);
        [p[0] - along[0] * push, p[1] - along[1] * push]
    }

    /// The colour after the defect, where `cover` says how much product is at `p`.
    #[inline]
    pub(crate) fn tint(&self, p: Point, colour: Colour, cover: f32) -> Colour {
        match self.kind {
            Kind::Scratch => {
                let weight = self.scratch(p) * cover;
                let shade = if self.sign > 0.0 { 1.0 } else { 0.0 };
                blend(colour, [shade; 3], (0.34 * weight * self.strength).min(0.9))
            }
            Kind::Stain => {
                let body = self.blob(p, 0.35);
                if body <= 0.0 {
                    return colour;
                }
                let rim = body * (1.0 - body) * 2.0;
                let mottle = 0.8 + 0.4 * value([p[0] * 18.0, p[1] * 18.0], self.seed);
                let weight = (0.42 * body + 0.3 * rim) * mottle * cover * self.strength.sqrt();
                blend(colour, self.tint, weight.min(0.9))
            }
            Kind::Dent => {
                let q = minus(p, self.centre);
                // Light comes from above: the far wall of the hollow is lit, the near one is not.
                let slope = -(q[0] * 0.5 + q[1]) / self.radius;
                let shade = 1.0 + 0.5 * slope * self.falloff(q) * cover * self.strength.min(2.0);
                colour.map(|v| v * shade.max(0.2))
            }
            _ => colour,
        }
    }

    #[inline]
    fn falloff(&self, q: Point) -> f32 {
        let inside = (1.0 - (q[0] * q[0] + q[1] * q[1]) / (self.radius * self.radius)).max(0.0);
        inside * inside
    }

    #[inline]
    pub(crate) fn scratch(&self, p: Point) -> f32 {
        let q = self.turn.undo(minus(p, self.centre));
        let t = q[0] / self.radius;
        if t.abs() > 1.0 {
            return 0.0;
        }
        let wobble = 0.012 * fractal([t * 4.0, 0.5], self.seed);
        let across = q[1] - self.bend * self.radius * (t * t - 0.3) - wobble;
        let half = (0.013 * (1.0 - t * t)).max(0.3 * self.pixel);
        let broken = 0.55 + 0.6 * value([t * 9.0, 3.0], self.seed);
        (1.0 - smooth(half, half + 1.2 * self.pixel, across.abs())) * broken * (1.0 - t * t)
    }
}
