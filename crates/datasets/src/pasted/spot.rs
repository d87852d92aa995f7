//! Where an anomaly is pasted, and its outline.

use image::RgbImage;

use crate::synthetic::draw::Draw;
use crate::synthetic::geometry::{Point, Rotation, length, minus, smooth};
use crate::synthetic::noise::fractal;

/// Radii of the anomaly of an image that has but one, as shares of the image's shorter side.
const RADIUS: [f32; 2] = [0.012, 0.4];
/// Places that are looked at for one anomaly: the one with most to see is taken.
const PLACES: usize = 3;

/// An uneven, turned ellipse inside the part of the image that a transform shows.
pub(crate) struct Spot {
    /// Pixels.
    pub(crate) centre: Point,
    /// Half the longer axis, pixels.
    pub(crate) radius: f32,
    /// The image's shorter side, pixels.
    pub(crate) side: f32,
    pub(crate) turn: Rotation,
    /// The shorter axis over the longer.
    flat: f32,
    /// Width of its edge, as a share of the radius.
    soft: f32,
    pub(crate) seed: u32,
}

impl Spot {
    /// Small ones are as frequent as large ones, and where there is texture they are more frequent than
    /// on a plain ground. Where an image has `count` of them, the largest are so much smaller that all of them
    /// together cover no more than one may.
    pub(crate) fn new(image: &RgbImage, count: u32, draw: &mut Draw) -> Self {
        let (width, height) = (image.width() as f32, image.height() as f32);
        let side = width.min(height);
        let (from, to) = (RADIUS[0], RADIUS[1] / (count as f32).sqrt());
        let radius = (side * from * (to / from).powf(draw.range(0.0, 1.0))).max(2.0);
        // Transforms cut the middle square out.
        let reach = (side / 2.0 - radius).max(0.0);
        let places: Vec<Point> = (0..PLACES)
            .map(|_| draw.point(reach))
            .map(|p| [p[0] + width / 2.0, p[1] + height / 2.0])
            .collect();
        let detail = |p: &Point| contrast(image, *p, radius);
        let centre = places
            .into_iter()
            .max_by(|a, b| detail(a).total_cmp(&detail(b)))
            .unwrap_or([width / 2.0, height / 2.0]);
        Self {
            centre,
            radius,
            side,
            turn: Rotation::new(draw.range(0.0, std::f32::consts::TAU)),
            flat: draw.range(0.3, 1.0),
            soft: draw.range(0.1, 0.4),
            seed: draw.bits(),
        }
    }

    /// How much of a pixel it covers, 0 to 1.
    pub(crate) fn cover(&self, at: Point) -> f32 {
        let q = self.along(minus(at, self.centre));
        let distance = length(q);
        if distance > 1.4 {
            return 0.0;
        }
        1.0 - smooth(
            1.0 - self.soft,
            1.0,
            distance + 0.3 * fractal([q[0] * 1.3, q[1] * 1.3], self.seed),
        )
    }

    /// A way from its centre in pixels, in its half axes.
    pub(crate) fn along(&self, q: Point) -> Point {
        let q = self.turn.undo(q);
        [q[0] / self.radius, q[1] / (self.radius * self.flat)]
    }

    /// Pixels inside its outline, about.
    pub(crate) fn area(&self) -> f32 {
        std::f32::consts::PI * self.radius * self.radius * self.flat
    }

    /// The pixels that it may touch, `reach` radii around its centre: columns and rows, ends excluded.
    pub(crate) fn bounds(&self, image: &RgbImage, reach: f32) -> [std::ops::Range<u32>; 2] {
        let along = |centre: f32, end: u32| {
            let from = (centre - reach * self.radius - 1.0).max(0.0) as u32;
            let to = ((centre + reach * self.radius + 2.0).max(0.0) as u32).min(end);
            from.min(to)..to
        };
        [along(self.centre[0], image.width()), along(self.centre[1], image.height())]
    }
}

/// Standard deviation of grey values in a window of half side `radius`.
fn contrast(image: &RgbImage, centre: Point, radius: f32) -> f32 {
    const STEPS: i32 = 8;
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
    for j in -STEPS..=STEPS {
        for i in -STEPS..=STEPS {
            let step = radius.max(4.0) / STEPS as f32;
            let (x, y) = (centre[0] + i as f32 * step, centre[1] + j as f32 * step);
            if x >= 0.0 && y >= 0.0 && x < image.width() as f32 && y < image.height() as f32 {
                let v = image.get_pixel(x as u32, y as u32).0;
                let grey = v.iter().map(|v| f32::from(*v)).sum::<f32>() / 3.0;
                (sum, squares, count) = (sum + grey, squares + grey * grey, count + 1.0);
            }
        }
    }
    let mean = sum / f32::max(count, 1.0);
    (squares / f32::max(count, 1.0) - mean * mean).max(0.0).sqrt()
}
