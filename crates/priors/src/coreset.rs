//! A few vectors that lie near all others: a greedy k-center coreset.

use crate::PriorError;
use candle_core::{Device, Tensor};
use hgad_kernels::{gaussian_logits, nearest_logit};
use hgad_parameters::Draws;

/// One vector in so many, the farthest ones, is measured to every vector that is chosen.
const ACTIVE: usize = 10;

/// Indices of `size` of `vectors` (N, dim), N > 0, row-major: each is the one farthest from those before,
/// from a first that is drawn (PatchCore's algorithm 1, Roth et al., CVPR 2022, without its random
/// projection). Where there are fewer vectors than asked for, some come again.
///
/// The farthest is among those that were farthest a while ago, as distances to the nearest only fall. So a
/// tenth is measured to each that is chosen, and all others to many at once, when the tenth has come nearer
/// than they were.
pub(crate) fn coreset(
    vectors: &[f32],
    dim: usize,
    size: usize,
    draws: &mut Draws,
) -> Result<Vec<usize>, PriorError> {
    let n = vectors.len() / dim;
    let z = Tensor::from_slice(vectors, (n, dim), &Device::Cpu)?;
    let mut chosen = vec![draws.below(n)];
    let mut measured = 0;
    // `-½ distance²` to the nearest that was chosen: the smallest is the farthest.
    let mut nearest = vec![f32::NEG_INFINITY; n];
    while chosen.len() < size {
        closer(&mut nearest, nearest_logit(&z, &select(&z, &chosen[measured..])?)?)?;
        measured = chosen.len();
        let (active, others) = farthest(&nearest);
        let vectors = select(&z, &active)?;
        let mut nearest: Vec<f32> = active.iter().map(|i| nearest[*i]).collect();
        while chosen.len() < size {
            let next = (0..active.len()).min_by(|a, b| nearest[*a].total_cmp(&nearest[*b]));
            let next = next.unwrap_or(0);
            if nearest[next] > others {
                break;
            }
            chosen.push(active[next]);
            let newest = vectors.narrow(0, next, 1)?.contiguous()?;
            closer(&mut nearest, gaussian_logits(&vectors, &newest)?.flatten_all()?)?;
        }
    }
    Ok(chosen)
}

/// The farthest vectors, in order, and `-½ distance²` of the farthest of the others; infinity where there are none.
fn farthest(nearest: &[f32]) -> (Vec<usize>, f32) {
    let count = nearest.len().div_ceil(ACTIVE);
    let mut order: Vec<usize> = (0..nearest.len()).collect();
    if count == order.len() {
        return (order, f32::INFINITY);
    }
    let by_distance = |a: &usize, b: &usize| nearest[*a].total_cmp(&nearest[*b]);
    let others = nearest[*order.select_nth_unstable_by(count, by_distance).1];
    order.truncate(count);
    order.sort_unstable();
    (order, others)
}

/// Rows of `z`.
fn select(z: &Tensor, rows: &[usize]) -> Result<Tensor, PriorError> {
    let rows: Vec<u32> = rows.iter().map(|i| *i as u32).collect();
    Ok(z.index_select(&Tensor::new(rows, z.device())?, 0)?)
}

/// The nearer of what was nearest and `further` (N).
fn closer(nearest: &mut [f32], further: Tensor) -> Result<(), PriorError> {
    nearest.iter_mut().zip(further.to_vec1::<f32>()?).for_each(|(n, d)| *n = n.max(d));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hgad_parameters::seeded;

    #[test]
    fn each_is_the_farthest_and_they_cover_better_than_a_draw() {
        let mut draws = seeded(2, "coreset");
        let vectors: Vec<f32> = (0..900).map(|_| draws.normal() as f32).collect();
        let square = |a: usize, b: usize| -> f32 {
            (0..3).map(|k| (vectors[a * 3 + k] - vectors[b * 3 + k]).powi(2)).sum()
        };
        let covered = |chosen: &[usize]| {
            let nearest = |a| chosen.iter().map(|b| square(a, *b)).fold(f32::INFINITY, f32::min);
            (0..300).map(nearest).fold(0.0, f32::max)
        };
        let chosen = coreset(&vectors, 3, 30, &mut draws).unwrap();
        for k in 1..30 {
            let far =
                |i: usize| chosen[..k].iter().map(|c| square(i, *c)).fold(f32::INFINITY, f32::min);
            let farthest = (0..300).max_by(|a, b| far(*a).total_cmp(&far(*b))).unwrap();
            assert_eq!(chosen[k], farthest, "the {k}th");
        }
        let drawn = draws.permutation(300)[..30].to_vec();
        assert!(covered(&chosen) < 0.5 * covered(&drawn));
        let twice = coreset(&[1.0, 2.0, 3.0], 3, 4, &mut draws).unwrap();
        assert_eq!(twice, [0; 4]);
    }
}
