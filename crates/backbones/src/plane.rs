//! Planes of numbers and their local averages and maxima.

/// A plane of numbers, row by row.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) values: Vec<f32>,
}

impl Plane {
    /// Every second pixel after a low-pass of the binomial weights 1 3 3 1 along both axes, edges
    /// repeated; an odd last row or column is only seen through its neighbour.
    pub(crate) fn halved(&self) -> Self {
        let (height, width) = ((self.height / 2).max(1), (self.width / 2).max(1));
        let (below, right) = (self.height - 1, self.width - 1);
        let mut values = vec![0.0; height * width];
        // One pixel repeated before and as many after as the last window reaches.
        let mut line = vec![0.0; self.width + 3];
        for (y, out) in values.chunks_exact_mut(width).enumerate() {
            let row = |i: usize| {
                let at = i.saturating_sub(1).min(below) * self.width;
                &self.values[at..at + self.width]
            };
            let (a, b, c, d) = (row(2 * y), row(2 * y + 1), row(2 * y + 2), row(2 * y + 3));
            let inner = &mut line[1..=self.width];
            for ((((o, a), b), c), d) in inner.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *o = 0.125 * (a + d) + 0.375 * (b + c);
            }
            line[0] = line[1];
            let edge = line[right + 1];
            line[right + 2..].fill(edge);
            let (first, second) = (line.chunks_exact(2), line[2..].chunks_exact(2));
            for ((o, p), q) in out.iter_mut().zip(first).zip(second) {
                *o = 0.125 * (p[0] + q[1]) + 0.375 * (p[1] + q[0]);
            }
        }
        Self { height, width, values }
    }

    /// [`Plane::halved`] so many times.
    pub(crate) fn reduced(&self, octaves: usize) -> Self {
        match octaves {
            0 => self.clone(),
            _ => (1..octaves).fold(self.halved(), |plane, _| plane.halved()),
        }
    }

    /// Maxima of pairs of rows and columns, so many times; what is left over at the end is dropped.
    pub(crate) fn peaks(&self, octaves: usize) -> Self {
        (0..octaves).fold(self.clone(), |plane, _| plane.halved_peaks())
    }

    fn halved_peaks(&self) -> Self {
        let (height, width) = ((self.height / 2).max(1), (self.width / 2).max(1));
        let mut values = vec![0.0; height * width];
        let mut line = vec![0.0f32; self.width.max(2)];
        for (y, out) in values.chunks_exact_mut(width).enumerate() {
            let top = &self.values[2 * y * self.width..][..self.width];
            let bottom = (2 * y + 1).min(self.height - 1) * self.width;
            let bottom = &self.values[bottom..bottom + self.width];
            line.iter_mut().zip(top).zip(bottom).for_each(|((o, a), b)| *o = a.max(*b));
            out.iter_mut().zip(line.chunks_exact(2)).for_each(|(o, p)| *o = p[0].max(p[1]));
        }
        Self { height, width, values }
    }
}

#[cfg(test)]
mod tests {
    use super::Plane;

    fn plane(height: usize, width: usize, f: impl Fn(usize, usize) -> f32) -> Plane {
        let values = (0..height * width).map(|i| f(i / width, i % width)).collect();
        Plane { height, width, values }
    }

    #[test]
    fn halving_keeps_a_ramp_and_a_constant() {
        for (h, w) in [(8, 12), (9, 13), (1, 1), (2, 3)] {
            let half = plane(h, w, |_, _| 3.0).halved();
            assert_eq!((half.height, half.width), ((h / 2).max(1), (w / 2).max(1)));
            assert!(half.values.iter().all(|v| *v == 3.0), "{h}x{w}");
        }
        let half = plane(10, 16, |y, x| (y + 2 * x) as f32).halved();
        for y in 1..4 {
            for x in 1..7 {
                let middle = (2 * y) as f32 + 0.5 + 2.0 * (2.0 * x as f32 + 0.5);
                assert!((half.values[y * 8 + x] - middle).abs() < 1e-5);
            }
        }
    }

    #[test]
    fn peaks_find_the_one_pixel() {
        let p = plane(17, 16, |y, x| f32::from(y == 5 && x == 13)).peaks(2);
        assert_eq!((p.height, p.width), (4, 4));
        assert_eq!(p.values.iter().position(|v| *v == 1.0), Some(7));
        assert_eq!(p.values.iter().sum::<f32>(), 1.0);
    }
}
