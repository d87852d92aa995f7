use crate::synthetic::draw::Draw;
use crate::synthetic::flaw::{Flaw, Kind};
use crate::synthetic::geometry::{
    Colour, Point, Pose, Rotation, blend, length, minus, scale, smooth,
};
use crate::synthetic::glyphs::ink;
use crate::synthetic::noise::{unit, value};
use crate::synthetic::product::{Product, Specimen};

/// A two-part pill with a printed code, on a pale table.
pub(crate) struct Capsule;

const PRINT: &[u8] = b"HG20";
const PRINT_AT: Point = [0.33, 0.03];
const PRINT_HEIGHT: f32 = 0.17;

struct Pill {
    pose: Pose,
    half: f32,
    radius: f32,
    seam: f32,
    cap: Colour,
    body: Colour,
    table: Colour,
    print_offset: Point,
    highlight: f32,
    seed: u32,
    pixel: f32,
}

impl Product for Capsule {
    fn name(&self) -> &'static str {
        "capsule"
    }

    fn defects(&self) -> &'static [(&'static str, Kind)] {
        &[
            ("crack", Kind::Scratch),
            ("dent", Kind::Dent),
            ("faded_print", Kind::Missing),
            ("misprint", Kind::Misplaced),
            ("speck", Kind::Stain),
        ]
    }

    fn specimen(&self, draw: &mut Draw, pixel: f32) -> Box<dyn Specimen> {
        let light = draw.range(0.98, 1.02);
        Box::new(Pill {
            pose: Pose {
                shift: [draw.around(0.012), draw.around(0.012)],
                turn: Rotation::new(-0.42 + draw.around(0.012)),
            },
            half: draw.range(0.457, 0.463),
            radius: draw.range(0.299, 0.301),
            seam: draw.range(-0.035, -0.025),
            cap: [0.78 * light, 0.27 + draw.around(0.01), 0.13 + draw.around(0.01)],
            body: [0.93 * light, 0.89 * light, 0.77 + draw.around(0.01)],
            table: scale([0.66, 0.70 + draw.around(0.005), 0.73 + draw.around(0.006)], light),
            print_offset: draw.point(0.005),
            highlight: -0.42 + draw.around(0.015),
            seed: draw.bits(),
            pixel,
        })
    }
}

impl Pill {
    /// Signed distance to the outline at a local point; negative inside.
    fn outline(&self, q: Point) -> f32 {
        length([(q[0].abs() - self.half).max(0.0), q[1]]) - self.radius
    }

    fn print(&self, q: Point, p: Point, flaw: Option<&Flaw>) -> f32 {
        let mut at = minus(minus(q, PRINT_AT), self.print_offset);
        let mut fade = 0.0;
        match flaw {
            Some(f) if f.kind == Kind::Misplaced => {
                let angle = unit(1, 0, f.seed) - 0.5;
                let turn = Rotation::new((0.25 + 0.3 * angle.abs()) * angle.signum() * f.strength);
                let shift = 0.05 * f.strength;
                at = turn
                    .undo(minus(at, [shift * (unit(2, 0, f.seed) - 0.5), shift * angle.signum()]));
            }
            Some(f) if f.kind == Kind::Missing => fade = f.blob(p, 0.3) * f.strength.min(1.0) * 0.9,
            _ => {}
        }
        let worn = 0.75 + 0.35 * value([q[0] * 45.0, q[1] * 45.0], self.seed ^ 5);
        ink(PRINT, at, PRINT_HEIGHT) * worn.min(1.0) * (1.0 - fade)
    }

    fn table(&self, p: Point) -> Colour {
        let felt = value([p[0] * 40.0, p[1] * 40.0], self.seed ^ 1);
        let cloud = value([p[0] * 2.0, p[1] * 2.0], self.seed ^ 2);
        scale(self.table, 0.97 + 0.04 * felt + 0.04 * cloud)
    }
}

impl Specimen for Pill {
    fn colour(&self, p: Point, flaw: Option<&Flaw>) -> Colour {
        let q = self.pose.local(p);
        let distance = self.outline(q);
        let shadow_at = self.pose.local([p[0] - 0.05, p[1] - 0.08]);
        let shadow = 1.0 - smooth(-0.12, 0.12, self.outline(shadow_at));
        let ground = scale(self.table(p), 1.0 - 0.42 * shadow);
        let cover = 1.0 - smooth(-self.pixel, self.pixel, distance);
        if cover <= 0.0 {
            return ground;
        }
        // The axis is a segment; the surface's normal points away from it.
        let from_axis = [q[0] - q[0].clamp(-self.half, self.half), q[1]];
        let n = [from_axis[0] / self.radius, from_axis[1] / self.radius];
        let nz = (1.0 - n[0] * n[0] - n[1] * n[1]).max(0.0).sqrt();
        let n = self.pose.turn.apply(n);
        let facing = (0.78 * nz - 0.34 * n[0] - 0.52 * n[1]).max(0.0);
        let side = smooth(self.seam - self.pixel, self.seam + self.pixel, q[0]);
        let lip = (1.0 - smooth(0.0, 0.022, (q[0] - self.seam).abs())) * 0.3;
        let paint = blend(self.cap, self.body, side);
        let printed = self.print(q, p, flaw) * smooth(0.0, 0.3, nz);
        let paint = blend(paint, [0.20, 0.21, 0.30], 0.82 * printed);
        let rough = value([q[0] * 30.0, q[1] * 30.0], self.seed ^ 3);
        let lit = (0.36 + 0.74 * facing) * (1.0 - lip) * (0.985 + 0.03 * rough);
        let band = (q[1] / self.radius - self.highlight) / 0.13;
        let end = smooth(self.half - 0.05, self.half + 0.16, q[0].abs());
        let shine = 0.42 * (-band * band).exp() * (1.0 - end);
        let surface = scale(paint, lit).map(|v| v + shine * (0.9 - 0.5 * v).max(0.0));
        blend(ground, surface, cover)
    }

    fn cover(&self, p: Point) -> f32 {
        1.0 - smooth(-self.pixel, self.pixel, self.outline(self.pose.local(p)))
    }

    fn site(&self, kind: Kind, draw: &mut Draw) -> Point {
        let local = match kind {
            Kind::Missing => [PRINT_AT[0] + draw.around(0.2), PRINT_AT[1]],
            Kind::Misplaced => PRINT_AT,
            Kind::Dent => [draw.range(-0.5, 0.5), 0.24 * draw.sign()],
            _ => [draw.range(-0.5, 0.5), draw.range(-0.15, 0.15)],
        };
        self.pose.global(local)
    }

    fn stain(&self) -> Colour {
        [0.45, 0.33, 0.22]
    }
}
