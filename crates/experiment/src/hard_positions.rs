//! Hard-position sampling: a step looks where the model is still far off.

use crate::error::ExperimentError;
use crate::model::{LevelModel, host};
use candle_core::Tensor;
use hgad_parameters::Draws;
use std::borrow::Cow;

/// `count` positions of each of some maps, whose classes are `labels`: a share `hard` of them the least likely of the map under its class
/// as the model is now, the rest drawn from the others. Each map asks for its own, so the flow must not know where
/// a vector was: no position code, no convolutions. `chunk` vectors go through it at once.
///
/// # Errors
/// Shapes that do not fit.
pub fn hard_positions<'a>(
    level: &LevelModel,
    (maps, labels): (&[Cow<'a, [f32]>], &[u32]),
    (hard, count): (f64, usize),
    chunk: usize,
    draws: &mut Draws,
) -> Result<Vec<Cow<'a, [f32]>>, ExperimentError> {
    // No step is made of these likelihoods.
    let tracked = [&level.flow_parameters, &level.prior_parameters].map(|p| (p, p.tracked()));
    tracked.iter().for_each(|(p, _)| p.track(false));
    let (count, dim) = (count.min(level.shape.positions()), level.shape.channels);
    let each = maps.iter().zip(labels).map(|(map, label)| {
        let likelihood = likelihood(level, map, *label, chunk)?;
        let chosen = choose(&likelihood, (hard, count), draws);
        let mut of = Vec::with_capacity(count * dim);
        chosen.iter().for_each(|p| of.extend_from_slice(&map[p * dim..(p + 1) * dim]));
        Ok(Cow::Owned(of))
    });
    let maps = each.collect::<Result<_, ExperimentError>>();
    tracked.iter().for_each(|(p, on)| p.track(*on));
    maps
}

/// `ln p(x given y)` at each position of a map, up to a constant.
fn likelihood(
    level: &LevelModel,
    map: &[f32],
    label: u32,
    chunk: usize,
) -> Result<Vec<f32>, ExperimentError> {
    let dim = level.shape.channels;
    let mut out = Vec::with_capacity(level.shape.positions());
    for x in map.chunks(chunk * dim) {
        let rows = x.len() / dim;
        let x = Tensor::from_slice(x, (rows, dim), level.device())?;
        let (z, log_det) = level.latents(&x, 0, rows)?;
        out.extend(host(&(level.prior.log_density_of_class(&z, &[label])? + log_det)?)?);
    }
    Ok(out)
}

/// `count` of the positions, in rising order: a share `hard` of them the least likely, the others drawn.
fn choose(likelihood: &[f32], (hard, count): (f64, usize), draws: &mut Draws) -> Vec<usize> {
    let mut order: Vec<usize> = (0..likelihood.len()).collect();
    order.sort_by(|a, b| likelihood[*a].total_cmp(&likelihood[*b]));
    let others = order.split_off((count as f64 * hard).round() as usize);
    let drawn = draws.permutation(others.len()).into_iter().map(|i| others[i]);
    let missing = count - order.len();
    order.extend(drawn.take(missing));
    order.sort_unstable();
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use hgad_parameters::seeded;

    #[test]
    fn the_least_likely_and_some_of_the_others() {
        let likelihood: Vec<f32> = (0..100).map(|i| ((i * 37) % 100) as f32).collect();
        let is_hard = |p: &usize| likelihood[*p] < 12.0;
        let mut seen = std::collections::BTreeSet::new();
        let mut draws = seeded(0, "test");
        for _ in 0..200 {
            let chosen = choose(&likelihood, (0.5, 24), &mut draws);
            assert_eq!(chosen.len(), 24);
            assert!(chosen.windows(2).all(|p| p[0] < p[1]), "{chosen:?}");
            assert_eq!(chosen.iter().filter(|p| is_hard(p)).count(), 12);
            seen.extend(chosen);
        }
        assert_eq!(seen.len(), 100, "the others are drawn from all");
        let all_hard = choose(&likelihood, (1.0, 24), &mut draws);
        assert!(all_hard.iter().all(|p| likelihood[*p] < 24.0));
        assert_eq!(choose(&likelihood, (0.3, 100), &mut draws), (0..100).collect::<Vec<_>>());
    }
}
