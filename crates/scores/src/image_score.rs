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

/// `ln(mean exp(b v)) / b` of the values `v` of a map, a soft maximum: near the largest value for a large sharpness
/// `b`, near the mean for a small one. Every value counts, the larger the more, and no share of them has to be
/// chosen. An empty map scores minus infinity.
pub fn soft_image_score(map: &[f32], sharpness: f64) -> f32 {
    let largest = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if !largest.is_finite() {
        return largest;
    }
    let top = f64::from(largest);
    let sum: f64 = map.iter().map(|v| (sharpness * (f64::from(*v) - top)).exp()).sum();
    (top + (sum / map.len() as f64).ln() / sharpness) as f32
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

    #[test]
    fn a_soft_maximum_lies_between_the_mean_and_the_largest() {
        let map = [1.0, 3.0, -2.0, 900.0];
        let of = |sharpness| soft_image_score(&map, sharpness);
        // ln((e^(2 v) summed) / 4) / 2: the others are lost beside 900.
        assert!((of(2.0) - (900.0 - 4f32.ln() / 2.0)).abs() < 1e-4, "{}", of(2.0));
        assert!((of(1e-9) - 225.5).abs() < 1e-3, "{}", of(1e-9));
        assert!((of(1e4) - 900.0).abs() < 1e-3, "{}", of(1e4));
        let small = soft_image_score(&[0.5, 1.0], 1.0);
        assert!((small - ((0.5f32.exp() + 1f32.exp()) / 2.0).ln()).abs() < 1e-6, "{small}");
        assert_eq!(soft_image_score(&[], 1.0), f32::NEG_INFINITY);
    }
}
