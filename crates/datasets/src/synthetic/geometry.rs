//! Points, colours, and the few functions that shapes are made of.

/// A position; the image spans -1..1 in both directions, y downwards.
pub(crate) type Point = [f32; 2];
/// Red, green, blue; 0..1 is what a camera can record.
pub(crate) type Colour = [f32; 3];

#[inline]
pub(crate) fn mix(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// 0 below `from`, 1 above `to`, a cubic between them.
#[inline]
pub(crate) fn smooth(from: f32, to: f32, x: f32) -> f32 {
    let t = ((x - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

#[inline]
pub(crate) fn blend(a: Colour, b: Colour, t: f32) -> Colour {
    std::array::from_fn(|c| mix(a[c], b[c], t))
}

#[inline]
pub(crate) fn scale(a: Colour, by: f32) -> Colour {
    a.map(|v| v * by)
}

#[inline]
pub(crate) fn length(p: Point) -> f32 {
    (p[0] * p[0] + p[1] * p[1]).sqrt()
}

#[inline]
pub(crate) fn minus(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1]]
}

/// A rotation by a fixed angle.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rotation {
    sin: f32,
    cos: f32,
}

impl Rotation {
    pub(crate) fn new(angle: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        Self { sin, cos }
    }

    #[inline]
    pub(crate) fn apply(self, p: Point) -> Point {
        [self.cos * p[0] - self.sin * p[1], self.sin * p[0] + self.cos * p[1]]
    }

    #[inline]
    pub(crate) fn undo(self, p: Point) -> Point {
        Self { sin: -self.sin, ..self }.apply(p)
    }
}

/// Where an object lies: turned, then shifted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pose {
    pub(crate) shift: Point,
    pub(crate) turn: Rotation,
}

impl Pose {
    /// From the image to the object.
    #[inline]
    pub(crate) fn local(self, p: Point) -> Point {
        self.turn.undo(minus(p, self.shift))
    }

    /// From the object to the image.
    pub(crate) fn global(self, p: Point) -> Point {
        let q = self.turn.apply(p);
        [q[0] + self.shift[0], q[1] + self.shift[1]]
    }
}

/// Signed distance to a rectangle of half sizes `half` with rounded corners; negative inside.
#[inline]
pub(crate) fn rectangle(p: Point, half: Point, round: f32) -> f32 {
    let d = [p[0].abs() - half[0] + round, p[1].abs() - half[1] + round];
    length([d[0].max(0.0), d[1].max(0.0)]) + d[0].max(d[1]).min(0.0) - round
}

/// Distance to the segment from `a` to `b`.
#[inline]
pub(crate) fn segment(p: Point, a: Point, b: Point) -> f32 {
    let (pa, ba) = (minus(p, a), minus(b, a));
    let along = (pa[0] * ba[0] + pa[1] * ba[1]) / (ba[0] * ba[0] + ba[1] * ba[1]);
    let t = along.clamp(0.0, 1.0);
    length([pa[0] - ba[0] * t, pa[1] - ba[1] * t])
}
