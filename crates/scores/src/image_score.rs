//! From a map to one number.

/// The largest value of a map: the paper's image score. An empty map scores minus infinity.
pub fn image_score(map: &[f32]) -> f32 {
    map.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}
