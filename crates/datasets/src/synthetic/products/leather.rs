use crate::synthetic::draw::Draw;
use crate::synthetic::flaw::{Flaw, Kind};
use crate::synthetic::geometry::{Colour, Point, Rotation, blend, length, minus, scale, smooth};
use crate::synthetic::noise::{cell, fractal, value};
use crate::synthetic::product::{Product, Specimen};

/// Grained leather: domed cells with creases between them.
pub(crate) struct Leather;

struct Hide {
    turn: Rotation,
    shift: Point,
    cells: f32,
    dye: Colour,
    light: Point,
    seed: u32,
    pixel: f32,
}

impl Product for Leather {
    fn name(&self) -> &'static str {
        "leather"
    }

    fn defects(&self) -> &'static [(&'static str, Kind)] {
        &[
            ("coarse", Kind::Patch),
            ("cut", Kind::Scratch),
            ("fold", Kind::Dent),
            ("glue", Kind::Stain),
            ("poke", Kind::Missing),
        ]
    }

    fn specimen(&self, draw: &mut Draw, pixel: f32) -> Box<dyn Specimen> {
        let angle = 4.1 + draw.around(0.05);
        Box::new(Hide {
            turn: Rotation::new(draw.around(0.06)),
            shift: draw.point(60.0),
            cells: draw.range(14.7, 15.3),
            dye: [0.47 + draw.around(0.01), 0.235 + draw.around(0.006), 0.145 + draw.around(0.005)],
            light: [angle.cos(), angle.sin()],
            seed: draw.bits(),
            pixel,
        })
    }
}

impl Hide {
    fn grain(&self, p: Point, cells: f32) -> Colour {
        let q = self.turn.apply(p);
        let drift = 0.6 * fractal([q[0] * 2.0, q[1] * 2.0], self.seed);
        let at =
            [q[0] * cells * 1.12 + self.shift[0] + drift, q[1] * cells + self.shift[1] - drift];
        let c = cell(at, self.seed ^ 1);
        let crease = smooth(0.0, 0.3, c.border);
        let slope = self.turn.undo(c.offset);
        let facing = slope[0] * self.light[0] + slope[1] * self.light[1];
        let pores = value([at[0] * 5.0, at[1] * 5.0], self.seed ^ 2);
        let cloud = fractal([q[0] * 1.1 + self.shift[0], q[1] * 1.1], self.seed ^ 3);
        let lit = 0.95 + 0.42 * facing + 0.10 * (c.id - 0.5) + 0.10 * (pores - 0.5) + 0.07 * cloud;
        let gloss = 0.09 * smooth(0.25, 0.6, facing) * crease;
        let colour = scale(self.dye, lit * (0.45 + 0.55 * crease));
        colour.map(|v| v + gloss)
    }
}

impl Specimen for Hide {
    fn colour(&self, p: Point, flaw: Option<&Flaw>) -> Colour {
        match flaw {
            Some(f) if f.kind == Kind::Patch => {
                let weight = f.blob(p, 0.25) * f.strength.min(1.0);
                match weight > 0.0 {
                    true => {
                        blend(self.grain(p, self.cells), self.grain(p, self.cells * 0.52), weight)
                    }
                    false => self.grain(p, self.cells),
                }
            }
            // A cut shows the fibres below the dye along its edges.
            Some(f) if f.kind == Kind::Scratch => {
                let light = blend(self.dye, [0.74, 0.55, 0.42], 0.6);
                let fibres = if f.sign > 0.0 { light } else { scale(self.dye, 0.1) };
                let weight = (0.3 * f.scratch(p) * f.strength).min(0.7);
                blend(self.grain(p, self.cells), fibres, weight)
            }
            Some(f) if f.kind == Kind::Missing => {
                let colour = self.grain(p, self.cells);
                let radius = 0.4 * f.radius;
                let distance = length(minus(p, f.centre));
                let hole = 1.0 - smooth(radius, radius + 2.0 * self.pixel, distance);
                let swell = 1.0 - smooth(radius, 2.2 * radius, distance);
                let raised = scale(colour, 1.0 + 0.35 * swell * f.strength.min(1.5));
                blend(raised, scale(self.dye, 0.28), hole)
            }
            _ => self.grain(p, self.cells),
        }
    }

    fn cover(&self, _p: Point) -> f32 {
        1.0
    }

    fn site(&self, _kind: Kind, draw: &mut Draw) -> Point {
        draw.point(0.72)
    }

    fn stain(&self) -> Colour {
        [0.62, 0.45, 0.36]
    }
}
