use crate::synthetic::draw::Draw;
use crate::synthetic::flaw::{Flaw, Kind};
use crate::synthetic::geometry::{Colour, Point, Rotation, blend, length, minus, scale, smooth};
use crate::synthetic::noise::{fractal, value};
use crate::synthetic::product::{Product, Specimen};

/// A planed board: growth rings along x, fibres, pores.
pub(crate) struct Wood;

struct Plank {
    turn: Rotation,
    shift: Point,
    rings: f32,
    early: Colour,
    late: Colour,
    seed: u32,
    pixel: f32,
}

impl Product for Wood {
    fn name(&self) -> &'static str {
        "wood"
    }

    fn defects(&self) -> &'static [(&'static str, Kind)] {
        &[
            ("cross_grain", Kind::Patch),
            ("hole", Kind::Missing),
            ("scratch", Kind::Scratch),
            ("stain", Kind::Stain),
        ]
    }

    fn specimen(&self, draw: &mut Draw, pixel: f32) -> Box<dyn Specimen> {
        let (warm, light) = (draw.around(0.01), draw.range(0.98, 1.02));
        Box::new(Plank {
            turn: Rotation::new(draw.around(0.03)),
            shift: draw.point(40.0),
            rings: draw.range(4.6, 5.0),
            early: [0.80 * light, (0.60 + warm) * light, 0.39 * light],
            late: [0.56 * light, (0.36 + warm) * light, 0.20 * light],
            seed: draw.bits(),
            pixel,
        })
    }
}

impl Plank {
    fn grain(&self, p: Point) -> Colour {
        let r = self.turn.apply(p);
        let q = [r[0] + self.shift[0], r[1] + self.shift[1]];
        let bend = fractal([q[0] * 0.55, q[1] * 1.3], self.seed);
        let ring = q[1] * self.rings + bend * 2.6;
        let t = ring - ring.floor();
        // Growth darkens slowly through the year and starts pale again at once.
        let tone = t * t * (1.0 - smooth(0.88, 1.0, t));
        let fibre = value([q[0] * 5.0, q[1] * 75.0], self.seed ^ 1);
        let streak = value([q[0] * 1.2, q[1] * 22.0], self.seed ^ 2);
        let pore = smooth(0.74, 0.86, value([q[0] * 8.0, q[1] * 60.0], self.seed ^ 3));
        let colour = blend(self.early, self.late, 0.1 + 0.75 * tone + 0.2 * (streak - 0.5));
        scale(colour, (0.93 + 0.14 * fibre) * (1.0 - 0.17 * pore))
    }
}

impl Specimen for Plank {
    fn colour(&self, p: Point, flaw: Option<&Flaw>) -> Colour {
        let colour = self.grain(p);
        match flaw {
            Some(f) if f.kind == Kind::Patch => {
                let weight = f.blob(p, 0.25) * f.strength.min(1.0);
                if weight <= 0.0 {
                    return colour;
                }
                let q = minus(p, f.centre);
                let turned = Rotation::new(1.1).apply(q);
                blend(colour, self.grain([turned[0] + 5.0, turned[1] + 5.0]), weight)
            }
            Some(f) if f.kind == Kind::Missing => {
                let radius = 0.26 * f.radius;
                let distance = length(minus(p, f.centre));
                let hole = 1.0 - smooth(radius, radius + 2.0 * self.pixel, distance);
                let rim = 1.0 - smooth(radius, 1.7 * radius, distance);
                let worn = scale(colour, 1.0 - 0.3 * rim * f.strength.min(1.5));
                blend(worn, scale(self.late, 0.45), hole)
            }
            _ => colour,
        }
    }

    fn cover(&self, _p: Point) -> f32 {
        1.0
    }

    fn site(&self, _kind: Kind, draw: &mut Draw) -> Point {
        draw.point(0.72)
    }

    fn stain(&self) -> Colour {
        [0.33, 0.22, 0.16]
    }
}
