//! Random rotations.

use hgad_parameters::Draws;

/// A rotation drawn uniformly from SO(`dim`) (Haar measure), row-major: the orthogonal factor of
/// a Gaussian matrix with the signs of its triangular factor's diagonal (Mezzadri, 2007), one
/// row turned where the determinant is -1.
pub fn random_rotation(dim: usize, draws: &mut Draws) -> Vec<f64> {
    // Gram-Schmidt with a second pass is the QR factor with a positive diagonal.
    let mut rows: Vec<Vec<f64>> = Vec::with_capacity(dim);
    for _ in 0..dim {
        let mut row: Vec<f64> = (0..dim).map(|_| draws.normal()).collect();
        for _ in 0..2 {
            for done in &rows {
                let overlap: f64 = done.iter().zip(&row).map(|(a, b)| a * b).sum();
                row.iter_mut().zip(done).for_each(|(r, d)| *r -= overlap * d);
            }
        }
        let norm = row.iter().map(|v| v * v).sum::<f64>().sqrt();
        row.iter_mut().for_each(|v| *v /= norm);
        rows.push(row);
    }
    if determinant_sign(&rows) < 0.0 {
        rows[0].iter_mut().for_each(|v| *v = -*v);
    }
    rows.concat()
}

/// The sign of the determinant, by elimination with partial pivoting.
fn determinant_sign(rows: &[Vec<f64>]) -> f64 {
    let mut a = rows.to_vec();
    let n = a.len();
    let mut sign = 1.0;
    for k in 0..n {
        let pivot = (k..n).max_by(|&i, &j| a[i][k].abs().total_cmp(&a[j][k].abs())).unwrap_or(k);
        if pivot != k {
            a.swap(pivot, k);
            sign = -sign;
        }
        if a[k][k] < 0.0 {
            sign = -sign;
        }
        let (head, tail) = a.split_at_mut(k + 1);
        for row in tail {
            let factor = row[k] / head[k][k];
            row[k..].iter_mut().zip(&head[k][k..]).for_each(|(r, h)| *r -= factor * h);
        }
    }
    sign
}
