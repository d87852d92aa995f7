//! What is said of one image.

use crate::error::ExperimentError;
use hgad_metrics::label_regions;
use serde::{Deserialize, Serialize};

/// What a model says of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Its class, given or inferred; `None`: it is none of the model's.
    pub class: Option<String>,
    /// The class it was scored as: `class`, or the nearest where that is `None`.
    pub scored_as: String,
    /// By class, in the order of the model's: the posterior of a mean position of the image, whatever
    /// class was given. Empty under a prior without classes.
    pub class_probabilities: Vec<f64>,
    /// One minus the conformal p-value of the image among normal images of its class: between 0 and 1,
    /// comparable between classes.
    pub score: f64,
    /// The score above which an image is called anomalous.
    pub threshold: f64,
    /// Whether the threshold keeps the false-alarm rate by the conformal guarantee.
    pub guaranteed: bool,
    /// Whether it is called anomalous: the score is above the threshold, or it is none of the classes.
    pub anomalous: bool,
    /// Side of the map.
    pub map_size: usize,
    /// Anomaly map (map_size, map_size) of the square that was looked at, row by row: from 0 to below
    /// 1, and 0.5 is the threshold in every class.
    pub map: Vec<f32>,
    /// Left, top, width and height of that square in pixels of the image.
    pub square: [f64; 4],
    /// The regions above the threshold, the one with the highest peak first.
    pub regions: Vec<Region>,
}

/// A connected region of a map above its threshold, in pixels of the image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Region {
    /// Left edge of its box.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width of its box.
    pub width: u32,
    /// Height of its box.
    pub height: u32,
    /// Pixels of the image that it covers.
    pub area: f64,
    /// The map's largest value in it, between 0.5 and 1.
    pub peak: f32,
}

/// The 8-connected regions of a scaled map above 0.5; `square` is the part of an image of `width` x
/// `height` pixels that the map shows.
pub(crate) fn regions(
    map: &[f32],
    size: usize,
    square: [f64; 4],
    (width, height): (u32, u32),
) -> Result<Vec<Region>, ExperimentError> {
    let above: Vec<bool> = map.iter().map(|v| *v > 0.5).collect();
    let labelled = label_regions(&above, size, size)?;
    // Left, top, right, bottom in pixels of the map, right and bottom not inside; peak.
    let mut boxes = vec![([size, size, 0, 0], 0.0f32); labelled.areas.len()];
    for (pixel, label) in labelled.labels.iter().enumerate().filter(|(_, l)| **l > 0) {
        let (y, x) = (pixel / size, pixel % size);
        let ([left, top, right, bottom], peak) = &mut boxes[*label as usize - 1];
        (*left, *top) = ((*left).min(x), (*top).min(y));
        (*right, *bottom) = ((*right).max(x + 1), (*bottom).max(y + 1));
        *peak = peak.max(map[pixel]);
    }
    let [x0, y0, w, h] = square;
    let (sx, sy) = (w / size as f64, h / size as f64);
    let mut all: Vec<Region> = boxes
        .into_iter()
        .zip(&labelled.areas)
        .map(|(([left, top, right, bottom], peak), area)| {
            let x = (x0 + left as f64 * sx).floor().max(0.0) as u32;
            let y = (y0 + top as f64 * sy).floor().max(0.0) as u32;
            let end_x = ((x0 + right as f64 * sx).ceil() as u32).clamp(x + 1, width.max(x + 1));
            let end_y = ((y0 + bottom as f64 * sy).ceil() as u32).clamp(y + 1, height.max(y + 1));
            let area = *area as f64 * sx * sy;
            Region { x, y, width: end_x - x, height: end_y - y, area, peak }
        })
        .collect();
    all.sort_by(|a, b| b.peak.total_cmp(&a.peak));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_in_pixels_of_the_image() {
        let mut map = vec![0.1f32; 16];
        (map[1], map[5], map[15]) = (0.6, 0.7, 0.9);
        // The map shows the middle 8x8 of 12x8 pixels.
        let found = regions(&map, 4, [2.0, 0.0, 8.0, 8.0], (12, 8)).unwrap();
        let expected = [
            Region { x: 8, y: 6, width: 2, height: 2, area: 4.0, peak: 0.9 },
            Region { x: 4, y: 0, width: 2, height: 4, area: 8.0, peak: 0.7 },
        ];
        assert_eq!(found, expected);
        assert!(regions(&[0.5; 16], 4, [0.0, 0.0, 4.0, 4.0], (4, 4)).unwrap().is_empty());
    }
}
