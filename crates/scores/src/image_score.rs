//! From a map to one number.

/// The mean of the largest values of a map, a share `top` of all; of 0 the largest value alone, the
/// paper's image score. The mean asks for a defect that has some extent: one position that happens to be
/// unlikely says little. An empty map scores minus infinity.
pub fn image_score(map: &[f32], top: f64) -> f32 {
    let count = (top * map.len() as f64).round() as usize;
    if count < 2 {
        return map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    }
    let mut values = map.to_vec();
    let count = count.min(values.len());
    let (largest, last, _) = values.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    // The one at that place is not among those before it.
    let sum: f64 = largest.iter().chain([&*last]).map(|v| f64::from(*v)).sum();
    (sum / count as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_or_the_mean_of_the_largest() {
        let map: Vec<f32> = (0..100).map(|i| ((i * 37) % 100) as f32).collect();
        assert_eq!(image_score(&map, 0.0), 99.0);
        assert_eq!(image_score(&map, 0.04), 97.5);
        assert_eq!(image_score(&map, 1.0), 49.5);
        assert_eq!(image_score(&[], 0.1), f32::NEG_INFINITY);
    }
}
