//! From the map that images are judged by to the one that is looked at.

use crate::gaussian_filter::gaussian_filter;
use crate::image_score::image_score;
use crate::rule::MapConfig;

/// The score of an image from the map of a rule, and the map that pixels are judged by: with
/// [`MapConfig::halo`] above 0 the map and the map through a second Gaussian filter, added.
///
/// An image is judged best by a sharp map, in which a small defect is not thinned out; a pixel also by what is
/// around it, since a defect has no holes.
pub fn score_and_map(mut map: Vec<f32>, config: &MapConfig) -> (f32, Vec<f32>) {
    let score = image_score(&map, config.top);
    if config.halo > 0.0 {
        let around = gaussian_filter(&map, config.size, config.size, config.halo);
        map.iter_mut().zip(around).for_each(|(m, a)| *m += a);
    }
    (score, map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_of_the_sharp_map_and_pixels_count_with_their_surroundings() {
        let size = 16;
        let config = MapConfig { size, halo: 2.0, ..MapConfig::default() };
        let mut map = vec![0.0; size * size];
        map[8 * size + 8] = 1.0;
        let (score, seen) = score_and_map(map.clone(), &config);
        assert_eq!(score, 1.0);
        // 1 at the pixel, and the filter's weights around it, which fall with the distance and sum to 1.
        let around: Vec<f32> = seen.iter().zip(&map).map(|(s, m)| s - m).collect();
        assert!((around.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        let peak = 1.0 / (std::f32::consts::TAU * 4.0);
        assert!((around[8 * size + 8] - peak).abs() < 0.01 * peak, "{}", around[8 * size + 8]);
        assert!(around[8 * size + 9] > around[8 * size + 11] && around[8 * size + 11] > 0.0);
        let (score, same) = score_and_map(map.clone(), &MapConfig { halo: 0.0, ..config });
        assert_eq!((score, same), (1.0, map));
    }
}
