use crate::synthetic::draw::Draw;
use crate::synthetic::flaw::{Flaw, Kind};
use crate::synthetic::geometry::{Colour, Point, Rotation, blend, scale, smooth};
use crate::synthetic::noise::{unit, value};
use crate::synthetic::product::{Product, Specimen};

/// A twill: blue warp, pale weft, each floating over two threads.
pub(crate) struct Fabric;

struct Cloth {
    turn: Rotation,
    shift: Point,
    threads: f32,
    warp: Colour,
    weft: Colour,
    seed: u32,
}

impl Product for Fabric {
    fn name(&self) -> &'static str {
        "fabric"
    }

    fn defects(&self) -> &'static [(&'static str, Kind)] {
        &[
            ("missing_thread", Kind::Missing),
            ("pulled", Kind::Dent),
            ("stain", Kind::Stain),
            ("wrong_weave", Kind::Patch),
        ]
    }

    fn specimen(&self, draw: &mut Draw, _pixel: f32) -> Box<dyn Specimen> {
        let light = draw.range(0.98, 1.02);
        Box::new(Cloth {
            turn: Rotation::new(draw.around(0.012)),
            shift: draw.point(30.0),
            threads: draw.range(15.8, 16.2),
            warp: [0.20 + draw.around(0.008), 0.31 + draw.around(0.008), 0.53 * light],
            weft: [0.80 * light, 0.78 * light, 0.70 + draw.around(0.01)],
            seed: draw.bits(),
        })
    }
}

impl Cloth {
    /// Thread coordinates: the warp threads are counted by the first, the weft by the second.
    fn threads(&self, p: Point) -> Point {
        let q = self.turn.apply(p);
        let sway = |k: u32| 0.7 * (value([q[0] * 1.7, q[1] * 1.7], self.seed ^ k) - 0.5);
        [
            q[0] * self.threads + self.shift[0] + sway(1),
            q[1] * self.threads + self.shift[1] + sway(2),
        ]
    }
}

impl Specimen for Cloth {
    fn colour(&self, p: Point, flaw: Option<&Flaw>) -> Colour {
        let q = self.threads(p);
        let (i, j) = (q[0].floor(), q[1].floor());
        let (fx, fy) = (q[0] - i - 0.5, q[1] - j - 0.5);
        let (i, j) = (i as i32, j as i32);
        let (mut slant, mut gap) = (1, 0.0);
        match flaw {
            Some(f) if f.kind == Kind::Patch && f.blob(p, 0.1) > 0.5 => slant = -1,
            Some(f) if f.kind == Kind::Missing => {
                let c = self.threads(f.centre);
                let reach = f.radius * 1.7 * self.threads;
                if j == c[1].floor() as i32 {
                    gap = 1.0 - smooth(reach - 0.6, reach, (q[0] - c[0]).abs());
                }
            }
            _ => {}
        }
        let phase = (i + slant * j).rem_euclid(4);
        let on_top = phase < 2;
        let (thread, across, along, tint) = match on_top {
            true => (i, fx, phase as f32 + 0.5 + slant as f32 * fy, self.warp),
            false => (j + 7919, fy, phase as f32 - 1.5 + fx, self.weft),
        };
        let round = (1.0 - 3.2 * across * across).max(0.0).sqrt();
        let crown = 1.0 - 0.22 * (along - 1.0) * (along - 1.0);
        let uneven = 0.92 + 0.16 * unit(thread, 0, self.seed ^ 3);
        let fibre = match on_top {
            true => value([q[0] * 9.0, q[1] * 2.2 + fx * 3.0], self.seed ^ 4),
            false => value([q[0] * 2.2 + fy * 3.0, q[1] * 9.0], self.seed ^ 5),
        };
        let lit = (0.48 + 0.52 * round) * crown * uneven * (0.9 + 0.2 * fibre);
        let colour = scale(tint, lit);
        match on_top {
            true => scale(colour, 1.0 - 0.1 * gap),
            // Without the weft one sees the warp beneath it, in shade.
            false => {
                let below = scale(self.warp, (0.45 + 0.3 * (1.0 - 4.0 * fx * fx)) * uneven);
                blend(colour, below, gap * 0.85)
            }
        }
    }

    fn cover(&self, _p: Point) -> f32 {
        1.0
    }

    fn site(&self, _kind: Kind, draw: &mut Draw) -> Point {
        draw.point(0.72)
    }

    fn stain(&self) -> Colour {
        [0.36, 0.32, 0.27]
    }
}
