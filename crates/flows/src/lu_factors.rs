//! Triangular factors of a matrix, on the host.

/// `W = P L U`: row `i` of W is row `order[i]` of `L U`.
pub(crate) struct LuFactors {
    n: usize,
    /// Below the diagonal L, whose own is 1; U on it and above, row-major.
    pub lu: Vec<f64>,
    /// The permutation.
    pub order: Vec<usize>,
}

impl LuFactors {
    /// From the factors themselves.
    pub fn new(lu: Vec<f64>, order: Vec<usize>) -> Self {
        Self { n: order.len(), lu, order }
    }

    /// Of `w` (n, n), row-major, by elimination with partial pivoting.
    pub fn of(w: Vec<f64>, n: usize) -> Self {
        let mut rows: Vec<Vec<f64>> = w.chunks_exact(n.max(1)).map(<[f64]>::to_vec).collect();
        // The row of W that is at each place.
        let mut from: Vec<usize> = (0..n).collect();
        for k in 0..n {
            let larger = |&i: &usize, &j: &usize| rows[i][k].abs().total_cmp(&rows[j][k].abs());
            let pivot = (k..n).max_by(larger).unwrap_or(k);
            rows.swap(pivot, k);
            from.swap(pivot, k);
            let (head, tail) = rows.split_at_mut(k + 1);
            let head = &head[k];
            for row in tail {
                let factor = row[k] / head[k];
                row[k] = factor;
                row[k + 1..].iter_mut().zip(&head[k + 1..]).for_each(|(r, h)| *r -= factor * h);
            }
        }
        let mut order = vec![0; n];
        from.iter().enumerate().for_each(|(place, row)| order[*row] = place);
        Self { n, lu: rows.concat(), order }
    }

    /// The sign of W's determinant.
    pub fn sign(&self) -> f64 {
        let diagonal = (0..self.n).map(|i| self.lu[i * self.n + i].signum()).product::<f64>();
        // A permutation's sign is that of its cycles' lengths.
        let mut seen = vec![false; self.n];
        let mut sign = diagonal;
        for start in 0..self.n {
            let mut at = start;
            let mut length = 0;
            while !seen[at] {
                seen[at] = true;
                at = self.order[at];
                length += 1;
            }
            if length > 0 && length % 2 == 0 {
                sign = -sign;
            }
        }
        sign
    }

    /// The inverse of W, row-major, by substitution.
    pub fn inverse(&self) -> Vec<f64> {
        let (n, at) = (self.n, |i: usize, j: usize| self.lu[i * self.n + j]);
        // L U X = P^T: rows of the right side are unit vectors, and X is solved row by row.
        let mut x = vec![vec![0.0; n]; n];
        self.order.iter().enumerate().for_each(|(row, place)| x[*place][row] = 1.0);
        let subtract = |x: &mut [Vec<f64>], i: usize, j: usize| {
            let (factor, other) = (at(i, j), x[j].clone());
            x[i].iter_mut().zip(&other).for_each(|(a, b)| *a -= factor * b);
        };
        for i in 0..n {
            (0..i).for_each(|j| subtract(&mut x, i, j));
        }
        for i in (0..n).rev() {
            (i + 1..n).for_each(|j| subtract(&mut x, i, j));
            x[i].iter_mut().for_each(|v| *v /= at(i, i));
        }
        x.concat()
    }
}
