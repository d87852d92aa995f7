//! A few vectors that lie near all others: a greedy k-center coreset.

use crate::PriorError;
use candle_core::{Device, Tensor};
use hgad_kernels::gaussian_logits;
use hgad_parameters::Draws;

/// Indices of `size` of `vectors` (N, dim), N > 0, row-major: each is the one farthest from those before,
/// from a first that is drawn (PatchCore's algorithm 1, Roth et al., CVPR 2022, without its random
/// projection). Where there are fewer vectors than asked for, some come again.
pub(crate) fn coreset(
    vectors: &[f32],
    dim: usize,
    size: usize,
    draws: &mut Draws,
) -> Result<Vec<usize>, PriorError> {
    let n = vectors.len() / dim;
    let z = Tensor::from_slice(vectors, (n, dim), &Device::Cpu)?;
    let mut chosen = vec![draws.below(n)];
    // `-½ distance²` to the nearest that was chosen: the smallest is the farthest.
    let mut nearest = vec![f32::NEG_INFINITY; n];
    while chosen.len() < size {
        let newest = chosen[chosen.len() - 1];
        let center = z.narrow(0, newest, 1)?.contiguous()?;
        let distance = gaussian_logits(&z, &center)?.flatten_all()?.to_vec1::<f32>()?;
        nearest.iter_mut().zip(distance).for_each(|(n, d)| *n = n.max(d));
        let farthest = (0..n).min_by(|a, b| nearest[*a].total_cmp(&nearest[*b]));
        chosen.push(farthest.unwrap_or(newest));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hgad_parameters::seeded;

    #[test]
    fn a_coreset_covers_better_than_a_draw() {
        let mut draws = seeded(2, "coreset");
        let vectors: Vec<f32> = (0..900).map(|_| draws.normal() as f32).collect();
        let covered = |chosen: &[usize]| {
            let square = |a: usize, b: usize| -> f32 {
                (0..3).map(|k| (vectors[a * 3 + k] - vectors[b * 3 + k]).powi(2)).sum()
            };
            let nearest = |a| chosen.iter().map(|b| square(a, *b)).fold(f32::INFINITY, f32::min);
            (0..300).map(nearest).fold(0.0, f32::max)
        };
        let chosen = coreset(&vectors, 3, 30, &mut draws).unwrap();
        let drawn = draws.permutation(300)[..30].to_vec();
        assert!(covered(&chosen) < 0.5 * covered(&drawn));
        let twice = coreset(&[1.0, 2.0, 3.0], 3, 4, &mut draws).unwrap();
        assert_eq!(twice, [0; 4]);
    }
}
