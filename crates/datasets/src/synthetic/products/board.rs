use crate::synthetic::draw::Draw;
use crate::synthetic::flaw::{Flaw, Kind};
use crate::synthetic::geometry::{
    Colour, Point, Pose, Rotation, blend, length, minus, rectangle, scale, segment, smooth,
};
use crate::synthetic::glyphs::ink;
use crate::synthetic::noise::{unit, value};
use crate::synthetic::product::{Product, Specimen};

/// A circuit board: traces, vias, two chips, small parts, prints.
pub(crate) struct Board;

const HALF: Point = [0.86, 0.86];
/// Traces as segments between two points.
const TRACES: [(Point, Point); 22] = [
    ([-0.62, -0.36], [-0.62, -0.12]),
    ([-0.50, -0.36], [-0.50, -0.04]),
    ([-0.62, -0.12], [-0.44, 0.06]),
    ([-0.50, -0.04], [-0.40, 0.06]),
    ([-0.44, 0.06], [-0.44, 0.60]),
    ([-0.40, 0.06], [-0.10, 0.06]),
    ([-0.10, 0.06], [0.02, 0.18]),
    ([-0.38, -0.36], [-0.38, -0.10]),
    ([-0.38, -0.10], [0.06, -0.10]),
    ([0.06, -0.10], [0.18, 0.02]),
    ([0.18, 0.02], [0.18, 0.14]),
    ([-0.26, -0.60], [0.10, -0.60]),
    ([0.10, -0.60], [0.22, -0.48]),
    ([0.22, -0.48], [0.62, -0.48]),
    ([0.62, -0.48], [0.72, -0.38]),
    ([0.72, -0.38], [0.72, 0.36]),
    ([0.44, -0.22], [0.44, 0.14]),
    ([0.72, 0.36], [0.60, 0.48]),
    ([-0.70, 0.30], [-0.70, 0.70]),
    ([-0.70, 0.70], [-0.20, 0.70]),
    ([-0.20, 0.70], [-0.08, 0.58]),
    ([-0.08, 0.58], [-0.08, 0.44]),
];
const VIAS: [Point; 10] = [
    [-0.62, -0.12],
    [0.06, -0.10],
    [0.22, -0.48],
    [0.72, -0.38],
    [0.72, 0.36],
    [-0.70, 0.30],
    [-0.20, 0.70],
    [0.44, -0.22],
    [-0.26, 0.24],
    [-0.26, 0.06],
];
/// Centre and half sizes of the two chips, and what is printed on them.
const CHIPS: [(Point, Point, &[u8]); 2] =
    [([0.30, 0.32], [0.25, 0.17], b"HG20"), ([-0.46, -0.52], [0.19, 0.13], b"D4")];
/// Small parts: centre, whether upright, and which colour.
const PARTS: [(Point, bool, usize); 9] = [
    ([0.02, -0.36], false, 0),
    ([0.30, -0.22], false, 0),
    ([0.56, -0.14], true, 1),
    ([-0.26, 0.40], true, 0),
    ([-0.60, 0.16], true, 1),
    ([0.44, -0.68], false, 1),
    ([0.10, 0.70], false, 0),
    ([0.46, 0.70], false, 0),
    ([-0.08, -0.76], false, 1),
];
const PART_HALF: Point = [0.105, 0.052];
const SCREWS: [Point; 4] = [[-0.76, -0.76], [0.76, -0.76], [-0.76, 0.78], [0.77, 0.77]];

struct Panel {
    pose: Pose,
    mask: Colour,
    table: Colour,
    solder: Colour,
    jitter: [(Point, Rotation); PARTS.len()],
    seed: u32,
    pixel: f32,
}

impl Product for Board {
    fn name(&self) -> &'static str {
        "board"
    }

    fn defects(&self) -> &'static [(&'static str, Kind)] {
        &[
            ("cut_trace", Kind::Patch),
            ("flux", Kind::Stain),
            ("misaligned", Kind::Misplaced),
            ("missing_part", Kind::Missing),
            ("scratch", Kind::Scratch),
        ]
    }

    fn specimen(&self, draw: &mut Draw, pixel: f32) -> Box<dyn Specimen> {
        let light = draw.range(0.98, 1.02);
        Box::new(Panel {
            pose: Pose {
                shift: [draw.around(0.01), draw.around(0.01)],
                turn: Rotation::new(draw.around(0.008)),
            },
            mask: [0.07, (0.36 + draw.around(0.006)) * light, (0.24 + draw.around(0.008)) * light],
            table: [0.78, 0.78 + draw.around(0.004), 0.76 + draw.around(0.006)],
            solder: scale([0.76, 0.77, 0.78], draw.range(0.98, 1.01)),
            jitter: std::array::from_fn(|_| {
                let offset = [draw.around(0.004), draw.around(0.004)];
                (offset, Rotation::new(draw.around(0.02)))
            }),
            seed: draw.bits(),
            pixel,
        })
    }
}

impl Panel {
    /// The small part that a defect concerns, if it concerns one.
    fn chosen(&self, flaw: &Flaw) -> Option<usize> {
        if !matches!(flaw.kind, Kind::Missing | Kind::Misplaced) {
            return None;
        }
        let at = self.pose.local(flaw.centre);
        let distance = |part: &(Point, bool, usize)| length(minus(part.0, at));
        let nearest =
            |(_, a): &(usize, &_), (_, b): &(usize, &_)| distance(a).total_cmp(&distance(b));
        PARTS.iter().enumerate().min_by(nearest).map(|(index, _)| index)
    }

    fn edge(&self, distance: f32) -> f32 {
        1.0 - smooth(-self.pixel, self.pixel, distance)
    }

    fn copper(&self, q: Point, p: Point, flaw: Option<&Flaw>) -> f32 {
        let mut found = 0.0f32;
        for (a, b) in TRACES {
            let reach = 0.03;
            if q[0] > a[0].max(b[0]) + reach
                || q[0] < a[0].min(b[0]) - reach
                || q[1] > a[1].max(b[1]) + reach
                || q[1] < a[1].min(b[1]) - reach
            {
                continue;
            }
            found = found.max(self.edge(segment(q, a, b) - 0.014));
        }
        match flaw {
            Some(f) if f.kind == Kind::Patch => {
                let gap = length(minus(p, f.centre)) - 0.8 * f.radius;
                found * (1.0 - self.edge(gap) * f.strength.min(1.0))
            }
            _ => found,
        }
    }

    fn chip(&self, q: Point, colour: Colour) -> Colour {
        let mut colour = colour;
        for (centre, half, text) in CHIPS {
            let d = minus(q, centre);
            if d[0].abs() > half[0] + 0.09 || d[1].abs() > half[1] + 0.09 {
                continue;
            }
            // Pins on the long sides, one each 0.1.
            let along = d[0] / 0.1;
            let pin = [(along - along.floor() - 0.5) * 0.1, d[1].abs() - half[1] - 0.025];
            if d[0].abs() < half[0] - 0.01 {
                let leg = self.edge(rectangle(pin, [0.022, 0.035], 0.005));
                colour = blend(colour, scale(self.solder, 0.92), leg);
            }
            let body = rectangle(d, half, 0.015);
            let shadow = rectangle(minus(d, [0.012, 0.02]), half, 0.02);
            colour = scale(colour, 1.0 - 0.45 * (1.0 - smooth(-0.02, 0.02, shadow)));
            let grain = value([q[0] * 60.0, q[1] * 60.0], self.seed ^ 6);
            let rim = smooth(-0.03, 0.0, body) * if d[1] + d[0] < 0.0 { 0.09 } else { -0.03 };
            let notch = self.edge(length([d[0] + half[0] - 0.05, d[1] - half[1] + 0.05]) - 0.018);
            let mut plastic = [0.135 + 0.03 * grain + rim; 3];
            plastic = blend(plastic, [0.07; 3], notch);
            plastic = blend(plastic, [0.58, 0.58, 0.56], 0.75 * ink(text, d, 0.11));
            colour = blend(colour, plastic, self.edge(body));
        }
        colour
    }

    fn part(&self, q: Point, index: usize, flaw: Option<&Flaw>, colour: Colour) -> Colour {
        let (centre, upright, kind) = PARTS[index];
        let upright_turn = |d: Point| if upright { [d[1], -d[0]] } else { d };
        let bare = minus(q, centre);
        if length(bare) > 0.26 {
            return colour;
        }
        let d = upright_turn(bare);
        let pads = [d[0].abs() - 0.095, d[1]];
        let pad = self.edge(rectangle(pads, [0.042, 0.058], 0.01));
        let tin = 0.95 + 0.1 * value([q[0] * 40.0, q[1] * 40.0], self.seed ^ 7);
        let mut colour = blend(colour, scale(self.solder, tin * 0.88), pad);

        let (mut offset, mut turn) = self.jitter[index];
        if let Some(f) = flaw {
            match f.kind {
                Kind::Missing => return colour,
                Kind::Misplaced => {
                    let side = if f.seed & 64 == 0 { 1.0 } else { -1.0 };
                    let by = 0.022 * f.strength;
                    offset = [offset[0] + by * side, offset[1] + by];
                    let angle = 0.22 + 0.2 * unit(3, 0, f.seed);
                    turn = Rotation::new(angle * side * f.strength);
                }
                _ => {}
            }
        }
        let d = upright_turn(turn.undo(minus(bare, offset)));
        let body = rectangle(d, PART_HALF, 0.012);
        let shadow = rectangle(minus(d, [0.01, 0.015]), PART_HALF, 0.015);
        colour = scale(colour, 1.0 - 0.35 * (1.0 - smooth(-0.015, 0.02, shadow)));
        let middle = match kind {
            0 => [0.16, 0.16, 0.17],
            _ => [0.60, 0.47, 0.33],
        };
        let metal = smooth(0.062, 0.062 + 2.0 * self.pixel, d[0].abs());
        let mut top = blend(middle, self.solder, metal);
        if kind == 0 {
            let code = [b'1' + (index % 9) as u8, b'0', b'2'];
            top = blend(top, [0.8, 0.8, 0.78], 0.8 * ink(&code, d, 0.05));
        }
        let rim = 1.0 - 0.22 * smooth(-0.02, 0.0, body);
        blend(colour, scale(top, rim), self.edge(body))
    }
}

impl Specimen for Panel {
    fn colour(&self, p: Point, flaw: Option<&Flaw>) -> Colour {
        let q = self.pose.local(p);
        let outline = rectangle(q, HALF, 0.05);
        let grain = value([p[0] * 30.0, p[1] * 30.0], self.seed ^ 1);
        let shadow = rectangle(self.pose.local([p[0] - 0.02, p[1] - 0.03]), HALF, 0.06);
        let dark = 1.0 - 0.4 * (1.0 - smooth(-0.03, 0.04, shadow));
        let ground = scale(self.table, (0.96 + 0.06 * grain) * dark);
        let cover = self.edge(outline);
        if cover <= 0.0 {
            return ground;
        }
        let fibre = value([q[0] * 70.0, q[1] * 70.0], self.seed ^ 2);
        let cloud = value([q[0] * 2.5, q[1] * 2.5], self.seed ^ 3);
        let mut colour = scale(self.mask, 0.9 + 0.12 * fibre + 0.16 * (cloud - 0.5));
        let copper = self.copper(q, p, flaw);
        colour = blend(colour, [0.32, 0.58, 0.38], 0.75 * copper);
        for via in VIAS {
            let r = length(minus(q, via));
            if r < 0.05 {
                colour = blend(colour, scale(self.solder, 0.9), self.edge(r - 0.032));
                colour = blend(colour, [0.10, 0.12, 0.11], self.edge(r - 0.014));
            }
        }
        for screw in SCREWS {
            let r = length(minus(q, screw));
            if r < 0.1 {
                colour = blend(colour, [0.72, 0.60, 0.32], self.edge(r - 0.075));
                colour = blend(colour, scale(self.table, 0.45), self.edge(r - 0.042));
            }
        }
        for (text, at, height) in [
            (b"R1".as_slice(), [0.02, -0.46], 0.055),
            (b"C2", [0.56, -0.32], 0.055),
            (b"U1", [0.50, 0.58], 0.055),
            (b"HGAD", [-0.42, 0.79], 0.07),
        ] {
            let print = ink(text, minus(q, at), height);
            colour = blend(colour, [0.86, 0.87, 0.84], 0.85 * print);
        }
        let chosen = flaw.and_then(|f| self.chosen(f));
        for index in 0..PARTS.len() {
            let flaw = flaw.filter(|_| chosen == Some(index));
            colour = self.part(q, index, flaw, colour);
        }
        colour = self.chip(q, colour);
        let rim = 1.0 + 0.25 * smooth(-0.02, 0.0, outline);
        blend(ground, scale(colour, rim), cover)
    }

    fn cover(&self, p: Point) -> f32 {
        self.edge(rectangle(self.pose.local(p), HALF, 0.05))
    }

    fn site(&self, kind: Kind, draw: &mut Draw) -> Point {
        let local = match kind {
            Kind::Missing | Kind::Misplaced => PARTS[draw.below(PARTS.len())].0,
            Kind::Patch => {
                let (a, b) = TRACES[draw.below(TRACES.len())];
                [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0]
            }
            _ => draw.point(0.66),
        };
        self.pose.global(local)
    }

    fn stain(&self) -> Colour {
        [0.52, 0.46, 0.27]
    }
}
