//! Outlines of what lies at or above a threshold: marching squares.

use std::collections::HashMap;

/// A closed line in units of the side, (0, 0) the upper left corner and (1, 1) the lower right one;
/// the last vertex is joined to the first. It runs with what it encloses on its right.
pub type Ring = Vec<[f32; 2]>;

/// How far a ring may stray from the exact one, in pixels.
const TOLERANCE: f64 = 0.3;

/// Rings around the pixels of `values` (side, side), row-major, that are at or above `threshold`,
/// with linear interpolation between the centres of pixels. Outside the field nothing is above, so
/// rings close along the border. Holes are rings of their own. Empty for a field of another size.
pub fn outline(values: &[f32], side: usize, threshold: f32) -> Vec<Ring> {
    if side == 0 || values.len() != side * side {
        return Vec::new();
    }
    let field = Field { values, side: side as i64, threshold };
    let mut next: HashMap<Edge, Edge> = HashMap::new();
    for y in -1..side as i64 {
        for x in -1..side as i64 {
            field.segments(x, y, &mut |from, to| {
                next.insert(from, to);
            });
        }
    }
    let mut starts: Vec<Edge> = next.keys().copied().collect();
    starts.sort_unstable();
    let mut rings = Vec::new();
    for start in starts {
        let mut ring = Vec::new();
        let mut at = start;
        while let Some(to) = next.remove(&at) {
            ring.push(field.crossing(at));
            at = to;
        }
        let ring = simplify(&ring);
        if ring.len() > 2 {
            rings.push(ring.into_iter().map(|p| field.unit(p)).collect());
        }
    }
    rings
}

/// An edge between two centres of pixels: its upper left end, and whether it goes down.
type Edge = (i64, i64, bool);

struct Field<'a> {
    values: &'a [f32],
    side: i64,
    threshold: f32,
}

impl Field<'_> {
    /// The value at a pixel; none outside.
    fn at(&self, x: i64, y: i64) -> Option<f32> {
        let inside = (0..self.side).contains(&x) && (0..self.side).contains(&y);
        inside.then(|| self.values[(y * self.side + x) as usize])
    }

    fn is_above(&self, x: i64, y: i64) -> bool {
        self.at(x, y).is_some_and(|v| v >= self.threshold)
    }

    /// Pieces of the outline in the square whose upper left corner is the centre of pixel (x, y),
    /// from edge to edge, what is above on their right.
    fn segments(&self, x: i64, y: i64, add: &mut impl FnMut(Edge, Edge)) {
        let [a, b, c, d] =
            [(x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1)].map(|(x, y)| self.is_above(x, y));
        let (top, right) = ((x, y, false), (x + 1, y, true));
        let (bottom, left) = ((x, y + 1, false), (x, y, true));
        match (a, b, c, d) {
            (false, false, false, false) | (true, true, true, true) => {}
            (true, false, false, false) => add(top, left),
            (false, true, false, false) => add(right, top),
            (false, false, true, false) => add(bottom, right),
            (false, false, false, true) => add(left, bottom),
            (true, true, false, false) => add(right, left),
            (false, true, true, false) => add(bottom, top),
            (false, false, true, true) => add(left, right),
            (true, false, false, true) => add(top, bottom),
            (false, true, true, true) => add(left, top),
            (true, false, true, true) => add(top, right),
            (true, true, false, true) => add(right, bottom),
            (true, true, true, false) => add(bottom, left),
            // Corners that touch are kept apart.
            (true, false, true, false) => {
                add(top, left);
                add(bottom, right);
            }
            (false, true, false, true) => {
                add(right, top);
                add(left, bottom);
            }
        }
    }

    /// Where the threshold is crossed on an edge, in pixels; half way where an end is outside.
    fn crossing(&self, (x, y, down): Edge) -> [f64; 2] {
        let (u, v) = if down { (x, y + 1) } else { (x + 1, y) };
        let share = match (self.at(x, y), self.at(u, v)) {
            (Some(from), Some(to)) if from != to => {
                ((self.threshold - from) as f64 / (to - from) as f64).clamp(0.0, 1.0)
            }
            _ => 0.5,
        };
        match down {
            true => [x as f64, y as f64 + share],
            false => [x as f64 + share, y as f64],
        }
    }

    /// From centres of pixels to units of the side, three digits after the point.
    fn unit(&self, p: [f64; 2]) -> [f32; 2] {
        p.map(|v| (((v + 0.5) / self.side as f64 * 1000.0).round() / 1000.0) as f32)
    }
}

/// The closed line with as few vertices as stay within the tolerance (Douglas and Peucker, 1973).
fn simplify(ring: &[[f64; 2]]) -> Vec<[f64; 2]> {
    if ring.len() < 4 {
        return ring.to_vec();
    }
    // Two vertices far apart split the ring into two lines.
    let far = farthest(ring, |p| squared(p, ring[0]));
    let mut out = Vec::new();
    thin(&ring[..=far], &mut out);
    let mut back = ring[far..].to_vec();
    back.push(ring[0]);
    thin(&back, &mut out);
    out
}

/// Adds what is kept of a line but for its last vertex.
fn thin(line: &[[f64; 2]], out: &mut Vec<[f64; 2]>) {
    let (first, last) = (line[0], line[line.len() - 1]);
    let off = |p: [f64; 2]| {
        let length = squared(first, last);
        if length == 0.0 {
            return squared(p, first);
        }
        let cross =
            (last[0] - first[0]) * (p[1] - first[1]) - (last[1] - first[1]) * (p[0] - first[0]);
        cross * cross / length
    };
    let split = farthest(line, off);
    if line.len() > 2 && off(line[split]) > TOLERANCE * TOLERANCE {
        thin(&line[..=split], out);
        thin(&line[split..], out);
    } else {
        out.push(first);
    }
}

fn farthest(line: &[[f64; 2]], from: impl Fn([f64; 2]) -> f64) -> usize {
    (0..line.len()).max_by(|a, b| from(line[*a]).total_cmp(&from(line[*b]))).unwrap_or(0)
}

fn squared(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twice the signed area; positive runs clockwise on a screen, where y goes down.
    fn area(ring: &Ring) -> f32 {
        let next = ring.iter().cycle().skip(1);
        ring.iter().zip(next).map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum::<f32>() / 2.0
    }

    #[test]
    fn a_single_pixel_is_a_diamond() {
        let mut values = [0.0; 16];
        values[5] = 1.0;
        let rings = outline(&values, 4, 0.5);
        assert_eq!(rings.len(), 1);
        let mut ring = rings[0].clone();
        ring.sort_by(|a, b| a.partial_cmp(b).unwrap());
        assert_eq!(ring, [[0.25, 0.375], [0.375, 0.25], [0.375, 0.5], [0.5, 0.375]]);
        assert!(area(&rings[0]) > 0.0, "clockwise");
    }

    #[test]
    fn the_area_is_that_of_the_disc_and_a_hole_runs_the_other_way() {
        let side = 64;
        let distance = |i: usize| {
            let (x, y) = ((i % side) as f32 - 31.5, (i / side) as f32 - 31.5);
            (x * x + y * y).sqrt()
        };
        let disc: Vec<f32> = (0..side * side).map(|i| 20.0 - distance(i)).collect();
        let rings = outline(&disc, side, 0.0);
        assert_eq!(rings.len(), 1);
        let expected = std::f32::consts::PI * 20.0 * 20.0 / (64.0 * 64.0);
        assert!((area(&rings[0]) - expected).abs() < 0.01, "{}", area(&rings[0]));
        assert!(rings[0].len() < 80, "{} vertices", rings[0].len());

        let ring: Vec<f32> = (0..side * side).map(|i| 5.0 - (distance(i) - 20.0).abs()).collect();
        let mut areas: Vec<f32> = outline(&ring, side, 0.0).iter().map(area).collect();
        areas.sort_by(f32::total_cmp);
        let of = |r: f32| std::f32::consts::PI * r * r / 4096.0;
        assert_eq!(areas.len(), 2);
        assert!((areas[0] + of(15.0)).abs() < 0.01 && (areas[1] - of(25.0)).abs() < 0.01);
    }

    #[test]
    fn the_border_closes_rings() {
        let rings = outline(&[1.0; 9], 3, 0.5);
        assert_eq!(rings.len(), 1);
        assert!(area(&rings[0]) > 0.9, "{}", area(&rings[0]));
        assert!(outline(&[0.0; 9], 3, 0.5).is_empty());
        assert!(outline(&[1.0; 8], 3, 0.5).is_empty());
        // Two corners that touch.
        assert_eq!(outline(&[1.0, 0.0, 0.0, 1.0], 2, 0.5).len(), 2);
    }
}
