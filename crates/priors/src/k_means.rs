//! Clusters of vectors: Lloyd's k-means from centres that lie apart (k-means++), or those around a
//! coreset.

use crate::PriorError;
use crate::coreset::coreset;
use candle_core::{D, Device, Tensor};
use hgad_kernels::gaussian_logits;
use hgad_parameters::Draws;

/// Rounds of Lloyd's algorithm; it ends before where no vector moves.
const ROUNDS: usize = 25;
/// Below this a cluster's deviation says more of its few vectors than of the density.
const LEAST_DEVIATION: f64 = 0.05;

/// Clusters of vectors of `dim` entries.
pub(crate) struct Clusters {
    /// Centres, row-major.
    pub(crate) centers: Vec<f64>,
    /// Standard deviation of each entry around them, likewise.
    pub(crate) deviations: Vec<f64>,
    /// Share of the vectors in each.
    pub(crate) shares: Vec<f64>,
}

impl Clusters {
    /// `count` clusters of `vectors` (N, dim), N > 0, row-major. Where there are fewer vectors than
    /// clusters, some are empty and lie on others.
    pub(crate) fn fit(
        vectors: &[f32],
        dim: usize,
        count: usize,
        draws: &mut Draws,
    ) -> Result<Self, PriorError> {
        let n = vectors.len() / dim;
        let z = Tensor::from_slice(vectors, (1, n, dim), &Device::Cpu)?;
        let row = |i: usize| &vectors[i * dim..(i + 1) * dim];
        // `-½ distance²`, so that the largest is the nearest.
        let logits = |centers: &[f32]| -> Result<Tensor, PriorError> {
            let centers = Tensor::from_slice(centers, (centers.len() / dim, dim), &Device::Cpu)?;
            Ok(gaussian_logits(&z, &centers)?)
        };
        let mut centers: Vec<f32> = row(draws.below(n)).to_vec();
        let mut nearest = vec![f64::INFINITY; n];
        while centers.len() < count * dim {
            let newest = &centers[centers.len() - dim..];
            let distance = logits(newest)?.flatten_all()?.to_vec1::<f32>()?;
            nearest.iter_mut().zip(distance).for_each(|(n, l)| *n = n.min(f64::from(-l).max(0.0)));
            let total: f64 = nearest.iter().sum();
            let mut left = draws.uniform(0.0, 1.0) * total;
            let drawn = nearest.iter().position(|d| {
                left -= d;
                left < 0.0
            });
            centers.extend_from_slice(row(drawn.unwrap_or(n - 1)));
        }
        let mut members: Vec<u32> = Vec::new();
        for _ in 0..ROUNDS {
            let own = logits(&centers)?.argmax(D::Minus1)?.flatten_all()?.to_vec1::<u32>()?;
            if own == members {
                break;
            }
            members = own;
            let (sums, counts) = sums(vectors, dim, count, &members, |v, _| v);
            for (k, center) in centers.chunks_exact_mut(dim).enumerate() {
                if counts[k] > 0 {
                    let of = sums[k * dim..].iter().map(|s| (s / counts[k] as f64) as f32);
                    center.iter_mut().zip(of).for_each(|(c, m)| *c = m);
                }
            }
        }
        Ok(Self::around(vectors, dim, centers, &members))
    }

    /// `count` clusters around a coreset of `vectors`, all of one deviation and equal shares: a center that
    /// stands for one rare vector has none of its own.
    pub(crate) fn around_coreset(
        vectors: &[f32],
        dim: usize,
        count: usize,
        draws: &mut Draws,
    ) -> Result<Self, PriorError> {
        let n = vectors.len() / dim;
        let chosen = coreset(vectors, dim, count, draws)?;
        let centers: Vec<f32> =
            chosen.iter().flat_map(|i| &vectors[i * dim..(i + 1) * dim]).copied().collect();
        let z = Tensor::from_slice(vectors, (n, dim), &Device::Cpu)?;
        let at = Tensor::from_slice(&centers, (count, dim), &Device::Cpu)?;
        let members = gaussian_logits(&z, &at)?.argmax(D::Minus1)?.to_vec1::<u32>()?;
        let from = |v: f64, at: usize| (v - f64::from(centers[at])).powi(2);
        let (squares, _) = sums(vectors, dim, count, &members, from);
        let pooled = |i: usize| squares.iter().skip(i).step_by(dim).sum::<f64>() / n as f64;
        let deviations: Vec<f64> =
            (0..dim).map(|i| pooled(i).sqrt().max(LEAST_DEVIATION)).collect();
        Ok(Self {
            deviations: deviations.repeat(count),
            shares: vec![1.0 / count as f64; count],
            centers: centers.into_iter().map(f64::from).collect(),
        })
    }

    /// What the vectors of each cluster say of it.
    fn around(vectors: &[f32], dim: usize, centers: Vec<f32>, members: &[u32]) -> Self {
        let (n, count) = (vectors.len() / dim, centers.len() / dim);
        let from = |v: f64, at: usize| (v - f64::from(centers[at])).powi(2);
        let (squares, counts) = sums(vectors, dim, count, members, from);
        let deviations = squares.iter().enumerate().map(|(i, s)| {
            let members = counts[i / dim];
            // Of one vector there is no deviation.
            if members < 2 { 1.0 } else { (s / members as f64).sqrt().max(LEAST_DEVIATION) }
        });
        Self {
            deviations: deviations.collect(),
            shares: counts.iter().map(|c| *c as f64 / n as f64).collect(),
            centers: centers.into_iter().map(f64::from).collect(),
        }
    }
}

/// Sums of `of(value, its index among all centres)` by cluster, and how many are in each.
fn sums(
    vectors: &[f32],
    dim: usize,
    count: usize,
    members: &[u32],
    of: impl Fn(f64, usize) -> f64,
) -> (Vec<f64>, Vec<usize>) {
    let (mut sums, mut counts) = (vec![0.0; count * dim], vec![0; count]);
    for (vector, k) in vectors.chunks_exact(dim).zip(members) {
        let k = *k as usize;
        counts[k] += 1;
        for (i, v) in vector.iter().enumerate() {
            sums[k * dim + i] += of(f64::from(*v), k * dim + i);
        }
    }
    (sums, counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hgad_parameters::seeded;

    #[test]
    fn clusters_that_lie_apart_are_found() {
        let mut draws = seeded(5, "k_means");
        let at = [[0.0, 0.0, 9.0], [5.0, -5.0, 0.0], [-6.0, 2.0, 1.0]];
        let spread = [0.1, 0.5, 1.0];
        let vectors: Vec<f32> = (0..3000)
            .flat_map(|i| {
                let k = if i % 10 < 6 { 0 } else { 1 + i % 2 };
                at[k].map(|c| (c + spread[k] * draws.normal()) as f32)
            })
            .collect();
        let found = Clusters::fit(&vectors, 3, 3, &mut draws).unwrap();
        for (center, spread) in at.iter().zip(spread) {
            let k = (0..3)
                .find(|k| {
                    let own = &found.centers[k * 3..][..3];
                    own.iter().zip(center).all(|(a, b)| (a - b).abs() < 0.1)
                })
                .expect("no cluster lies there");
            let deviations = &found.deviations[k * 3..][..3];
            assert!(deviations.iter().all(|d| (d / spread - 1.0).abs() < 0.1), "{deviations:?}");
        }
        assert!((found.shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!(found.shares.iter().any(|s| (s - 0.6).abs() < 1e-9), "{:?}", found.shares);
    }

    #[test]
    fn fewer_vectors_than_clusters_make_finite_ones() {
        let found = Clusters::fit(&[1.0, 2.0, 1.0, 2.0], 2, 4, &mut seeded(0, "k")).unwrap();
        assert!(found.centers.iter().chain(&found.deviations).all(|v| v.is_finite()));
        assert_eq!(found.centers, [1.0, 2.0].repeat(4));
    }
}
