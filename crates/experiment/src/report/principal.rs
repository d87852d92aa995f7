//! Principal components of vectors, as many as a plane needs.

/// Rounds of the power method; it stops before where the plane no longer turns.
const ROUNDS: usize = 200;
/// How far the cosine of the angle that an axis still turns by may be from 1: about a millionth of a
/// radian, since the cosine falls with its square.
const TURN: f64 = 1e-12;

/// The plane of the first two principal components.
pub struct Plane {
    mean: Vec<f64>,
    axes: [Vec<f64>; 2],
    /// Shares of the variance along the axes.
    pub explained: [f32; 2],
}

impl Plane {
    /// Of `vectors` (n, dim), row-major, by orthogonal iteration: both axes are multiplied by the
    /// covariance and made orthonormal again, from a fixed start. `None` of no vectors.
    pub fn fit(vectors: &[f32], dim: usize) -> Option<Self> {
        let rows = || vectors.chunks_exact(dim.max(1));
        let count = rows().len();
        if count == 0 || dim == 0 {
            return None;
        }
        let mut mean = vec![0.0; dim];
        rows().for_each(|r| mean.iter_mut().zip(r).for_each(|(m, v)| *m += f64::from(*v)));
        mean.iter_mut().for_each(|m| *m /= count as f64);
        let centered: Vec<f64> =
            rows().flat_map(|r| r.iter().zip(&mean).map(|(v, m)| f64::from(*v) - m)).collect();
        let total: f64 = centered.iter().map(|v| v * v).sum();
        // A start that no usual covariance is orthogonal to.
        let mut axes = [1.0, 2.0].map(|k: f64| {
            (0..dim).map(|i| ((i as f64 + 1.0) * k).sin() + 0.1 * k).collect::<Vec<f64>>()
        });
        orthonormalize(&mut axes);
        for _ in 0..ROUNDS {
            let mut next = axes.each_ref().map(|a| times_covariance(&centered, a));
            orthonormalize(&mut next);
            let turn = |i: usize| 1.0 - dot(&next[i], &axes[i]).abs();
            let still = turn(0) < TURN && turn(1) < TURN;
            axes = next;
            if still {
                break;
            }
        }
        // An axis has two signs: its largest entry is positive.
        for axis in &mut axes {
            let largest =
                axis.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
            if largest < 0.0 {
                axis.iter_mut().for_each(|v| *v = -*v);
            }
        }
        let along =
            |a: &Vec<f64>| centered.chunks_exact(dim).map(|r| dot(r, a).powi(2)).sum::<f64>();
        let explained = axes.each_ref().map(|a| (along(a) / total.max(f64::MIN_POSITIVE)) as f32);
        Some(Self { mean, axes, explained })
    }

    /// Where `vector` (dim) lies in the plane.
    pub fn project(&self, vector: &[f32]) -> [f32; 2] {
        self.axes.each_ref().map(|axis| {
            let along = axis.iter().zip(vector).zip(&self.mean);
            along.map(|((a, v), m)| a * (f64::from(*v) - m)).sum::<f64>() as f32
        })
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

/// `X^T X a` of rows X.
fn times_covariance(rows: &[f64], axis: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; axis.len()];
    for row in rows.chunks_exact(axis.len()) {
        let along = dot(row, axis);
        out.iter_mut().zip(row).for_each(|(o, v)| *o += along * v);
    }
    out
}

/// Gram and Schmidt. What vanishes, such as the second axis of vectors on a line, becomes zero.
fn orthonormalize([first, second]: &mut [Vec<f64>; 2]) {
    let normalize = |v: &mut Vec<f64>, against: f64| {
        let length = dot(v, v).sqrt();
        let scale = if length > 1e-9 * against.max(f64::MIN_POSITIVE) { 1.0 / length } else { 0.0 };
        v.iter_mut().for_each(|x| *x *= scale);
    };
    normalize(first, 0.0);
    let before = dot(second, second).sqrt();
    let shared = dot(first, second);
    second.iter_mut().zip(first.iter()).for_each(|(s, f)| *s -= shared * f);
    normalize(second, before);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors `mean + a u + b v + c w` with a, b, c of variances 9, 4 and 0.25, and orthogonal
    /// unit vectors u, v, w.
    fn cloud() -> (Vec<f32>, [[f32; 3]; 2]) {
        let r = std::f32::consts::FRAC_1_SQRT_2;
        let (u, v, w) = ([r, r, 0.0], [-r, r, 0.0], [0.0, 0.0, 1.0]);
        let mut all = Vec::new();
        for a in [-3.0f32, 3.0] {
            for b in [-2.0f32, 2.0] {
                for c in [-0.5f32, 0.5] {
                    all.extend((0..3).map(|i| 7.0 + a * u[i] + b * v[i] + c * w[i]));
                }
            }
        }
        (all, [u, v])
    }

    #[test]
    fn axes_of_a_known_cloud() {
        let (cloud, [u, v]) = cloud();
        let plane = Plane::fit(&cloud, 3).unwrap();
        for (axis, expected) in plane.axes.iter().zip([u, v]) {
            let along: f64 = axis.iter().zip(expected).map(|(a, e)| a * f64::from(e)).sum();
            assert!((along.abs() - 1.0).abs() < 1e-5, "{axis:?}");
        }
        let shares = [9.0 / 13.25, 4.0 / 13.25];
        for (got, expected) in plane.explained.iter().zip(shares) {
            assert!((got - expected).abs() < 1e-5, "{got} is not {expected}");
        }
        let at = plane.project(&[7.0 + 3.0 * u[0], 7.0 + 3.0 * u[1], 7.0]);
        assert!((at[0].abs() - 3.0).abs() < 1e-4 && at[1].abs() < 1e-4, "{at:?}");
        assert!(plane.project(&[7.0; 3]).iter().all(|v| v.abs() < 1e-5));
    }

    #[test]
    fn vectors_on_a_line_and_none() {
        let line: Vec<f32> = (0..10).flat_map(|i| [i as f32, 2.0 * i as f32]).collect();
        let plane = Plane::fit(&line, 2).unwrap();
        assert!((plane.explained[0] - 1.0).abs() < 1e-6 && plane.explained[1] < 1e-6);
        let same = Plane::fit(&[1.0; 8], 2).unwrap();
        assert_eq!(same.project(&[1.0, 1.0]), [0.0, 0.0]);
        assert!(Plane::fit(&[], 3).is_none());
        assert_eq!(Plane::fit(&[1.0, 2.0, 4.0], 1).unwrap().project(&[7.0 / 3.0])[1], 0.0);
    }
}
