use std::f32::consts::TAU;

use crate::synthetic::draw::Draw;
use crate::synthetic::flaw::{Flaw, Kind};
use crate::synthetic::geometry::{
    Colour, Point, Pose, Rotation, blend, length, mix, rectangle, scale, smooth,
};
use crate::synthetic::noise::{unit, value};
use crate::synthetic::product::{Product, Specimen};

/// A milled steel gear with a keyway and six holes, held by its key, on dark felt.
pub(crate) struct Gear;

const TEETH: f32 = 18.0;
const ROOT: f32 = 0.63;
const TIP: f32 = 0.76;
const HOLES: f32 = 6.0;
const BEVEL: f32 = 0.03;

struct Wheel {
    pose: Pose,
    steel: Colour,
    felt: Colour,
    sheen: f32,
    seed: u32,
    pixel: f32,
}

impl Product for Gear {
    fn name(&self) -> &'static str {
        "gear"
    }

    fn defects(&self) -> &'static [(&'static str, Kind)] {
        &[
            ("chipped_tooth", Kind::Missing),
            ("dent", Kind::Dent),
            ("ground", Kind::Patch),
            ("rust", Kind::Stain),
            ("scratch", Kind::Scratch),
        ]
    }

    fn specimen(&self, draw: &mut Draw, pixel: f32) -> Box<dyn Specimen> {
        let light = draw.range(0.98, 1.02);
        Box::new(Wheel {
            pose: Pose {
                shift: [draw.around(0.01), draw.around(0.01)],
                turn: Rotation::new(draw.around(0.012)),
            },
            steel: [0.63 * light, 0.65 * light, (0.67 + draw.around(0.006)) * light],
            felt: [0.12, 0.14 + draw.around(0.004), 0.19 + draw.around(0.006)],
            sheen: draw.range(0.5, 0.6),
            seed: draw.bits(),
            pixel,
        })
    }
}

impl Wheel {
    /// Signed distance, about, to the metal's edge at a local point; positive inside.
    fn inside(&self, q: Point, flaw: Option<&Flaw>) -> f32 {
        let r = length(q);
        let turns = q[1].atan2(q[0]) / TAU;
        let tooth = turns * TEETH;
        let across = (tooth - tooth.round()).abs();
        let mut profile = 1.0 - smooth(0.17, 0.32, across);
        if let Some(f) = flaw
            && f.kind == Kind::Missing
        {
            let which = (f.seed % TEETH as u32) as f32;
            let index = tooth.round().rem_euclid(TEETH);
            if index == which {
                let ragged = 0.14 * (value([tooth * 9.0, 1.0], f.seed) - 0.5);
                let cut = 0.72 * f.strength.clamp(0.3, 1.2);
                let lean = 0.5 * (tooth - tooth.round()) * f.strength.min(1.0);
                profile = profile.min((1.0 - cut + ragged + lean).max(0.0));
            }
        }
        let outer = mix(ROOT, TIP, profile) - r;
        let bore = r - 0.2;
        let key = rectangle([q[0], q[1] + 0.2], [0.055, 0.08], 0.01);
        let sector = TAU / HOLES;
        let angle = q[1].atan2(q[0]) + sector / 2.0;
        let nearest = (angle / sector).floor() * sector;
        let centre = [0.42 * nearest.cos(), 0.42 * nearest.sin()];
        let hole = length([q[0] - centre[0], q[1] - centre[1]]) - 0.085;
        outer.min(bore).min(key).min(hole)
    }

    fn felt(&self, p: Point) -> Colour {
        let nap = value([p[0] * 55.0, p[1] * 55.0], self.seed ^ 1);
        let patch = value([p[0] * 3.0, p[1] * 3.0], self.seed ^ 2);
        scale(self.felt, 0.75 + 0.35 * nap + 0.15 * patch)
    }
}

impl Specimen for Wheel {
    fn colour(&self, p: Point, flaw: Option<&Flaw>) -> Colour {
        let q = self.pose.local(p);
        let depth = self.inside(q, flaw);
        let shadow_at = self.pose.local([p[0] - 0.03, p[1] - 0.045]);
        let cover = smooth(-self.pixel, self.pixel, depth);
        if cover <= 0.0 {
            let shadow = smooth(-0.04, 0.05, self.inside(shadow_at, flaw));
            return scale(self.felt(p), 1.0 - 0.6 * shadow);
        }
        let r = length(q);
        let on_image = [p[0] - self.pose.shift[0], p[1] - self.pose.shift[1]];
        let theta = on_image[1].atan2(on_image[0]);
        // Turned metal shines in two opposite fans that stay put when the gear is turned.
        let fan = (2.0 * (theta - self.sheen)).cos();
        let mut rings = value([r * 85.0, 7.0 + theta * 0.6], self.seed ^ 3);
        let mut fan = 0.14 * fan + 0.07 * fan * fan * fan;
        if let Some(f) = flaw
            && f.kind == Kind::Patch
        {
            let weight = f.blob(p, 0.25) * f.strength.min(1.2);
            let straight = value([(p[0] + p[1]) * 60.0, (p[0] - p[1]) * 4.0], f.seed);
            rings = mix(rings, straight * 2.4 - 0.7, weight);
            fan = mix(fan, 0.05, 0.75 * weight);
        }
        let step = if (0.27..0.56).contains(&r) { 0.93 } else { 1.0 };
        let groove = 1.0
            - 0.25 * (1.0 - smooth(0.0, 0.012, (r - 0.27).abs()))
            - 0.25 * (1.0 - smooth(0.0, 0.012, (r - 0.56).abs()));
        let mut lit = (0.86 + fan + 0.13 * (rings - 0.5)) * step * groove;
        if depth < BEVEL {
            let e = 0.006;
            let qx = self.pose.local([p[0] + e, p[1]]);
            let qy = self.pose.local([p[0], p[1] + e]);
            let slope = [(self.inside(qx, flaw) - depth) / e, (self.inside(qy, flaw) - depth) / e];
            let facing = (0.45 * slope[0] + 0.75 * slope[1]).clamp(-1.0, 1.0);
            lit *= 1.0 + 0.34 * facing * (1.0 - depth.max(0.0) / BEVEL);
        }
        let speckle = unit((p[0] * 400.0) as i32, (p[1] * 400.0) as i32, self.seed ^ 4);
        let metal = scale(self.steel, lit * (0.985 + 0.03 * speckle));
        blend(self.felt(p), metal, cover)
    }

    fn cover(&self, p: Point) -> f32 {
        smooth(-self.pixel, self.pixel, self.inside(self.pose.local(p), None))
    }

    fn site(&self, kind: Kind, draw: &mut Draw) -> Point {
        let angle = draw.range(0.0, TAU);
        let r = match kind {
            Kind::Dent => draw.range(0.62, 0.7),
            _ => draw.range(0.48, 0.66),
        };
        self.pose.global([r * angle.cos(), r * angle.sin()])
    }

    fn stain(&self) -> Colour {
        [0.46, 0.30, 0.20]
    }
}
