//! Pictures of the test images that tell most, small enough for a page.

use crate::color::heat;
use crate::data::Data;
use crate::error::ExperimentError;
use crate::evaluate::{ClassMaps, Truth};
use crate::features::Features;
use crate::heat_maps::range;
use hgad_datasets::Transform;
use hgad_report::{GalleryClass, GalleryImage, Picture, Reason, Ring, Threshold, outline};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use image::{ExtendedColorType, ImageBuffer, Luma};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Side of a picture in pixels.
const SIDE: usize = 224;
/// Of a JPEG, of 100.
const QUALITY: u8 = 82;
/// Largest side of a field that outlines are drawn from.
const OUTLINED: usize = 256;

/// `count` images of one class with their contours at `threshold`.
///
/// # Errors
/// An image that can no longer be read.
pub fn of_class(
    of: &ClassMaps,
    features: &Features,
    data: &Data,
    truth: &Truth,
    class: &str,
    count: usize,
    threshold: Option<Threshold>,
) -> Result<GalleryClass, ExperimentError> {
    let limit = threshold.as_ref().map(|t| t.value as f32);
    let mask = |i: usize| truth.masks[of.samples[i]].as_deref();
    let fits: Vec<Option<f64>> = (0..of.samples.len())
        .map(|i| limit.zip(mask(i)).map(|(limit, mask)| f1(of.map(i), mask, limit)))
        .collect();
    let scale = range(of);
    let draw = |(i, reason): (usize, Reason)| {
        let sample = &features.test[of.samples[i]];
        let side = SIDE.min(of.size);
        let crop = Transform { img_size: side, ..features.transform };
        let input = crop.crop(&data.dataset.image(sample)?)?;
        let truth: Vec<f32> =
            mask(i).unwrap_or_default().iter().map(|m| f32::from(u8::from(*m))).collect();
        Ok(GalleryImage {
            id: sample.id.clone(),
            defect: sample.defect.clone(),
            reason,
            score: f64::from(of.image_score(i)),
            f1: fits[i],
            input: jpeg(input.as_raw(), side)?,
            map: jpeg(&colors(of.map(i), of.size, side, scale), side)?,
            mask: rings(&truth, of.size, 0.5),
            contour: limit.map_or(Vec::new(), |limit| rings(of.map(i), of.size, limit)),
        })
    };
    let images = choose(of, features, &fits, count)
        .into_par_iter()
        .map(draw)
        .collect::<Result<_, ExperimentError>>()?;
    Ok(GalleryClass { class: class.into(), threshold, images })
}

/// F1 of the pixels at or above `limit` against the mask.
fn f1(map: &[f32], mask: &[bool], limit: f32) -> f64 {
    let (mut hits, mut both) = (0u64, 0u64);
    for (v, m) in map.iter().zip(mask) {
        let found = *v >= limit;
        hits += u64::from(found && *m);
        both += u64::from(found) + u64::from(*m);
    }
    if both == 0 { 0.0 } else { 2.0 * hits as f64 / both as f64 }
}

/// Up to `count` of the images, each once: in turn the best fit, the worst, the next that every run
/// on these data would show, and the normal image with the highest score.
fn choose(
    of: &ClassMaps,
    features: &Features,
    fits: &[Option<f64>],
    count: usize,
) -> Vec<(usize, Reason)> {
    let all = 0..of.samples.len();
    let is_anomalous = |i: &usize| features.test[of.samples[*i]].is_anomalous();
    let mut fitted: Vec<usize> = all.clone().filter(|i| fits[*i].is_some()).collect();
    // Where contours fit alike, as where nothing is outlined, the higher score is the better.
    let better = |i: usize| (fits[i].unwrap_or(0.0), f64::from(of.image_score(i)));
    fitted.sort_by(|a, b| {
        let ((fit, score), (other_fit, other_score)) = (better(*b), better(*a));
        fit.total_cmp(&other_fit).then(score.total_cmp(&other_score))
    });
    let worst: Vec<usize> = fitted.iter().rev().copied().collect();
    let mut normal: Vec<usize> = all.clone().filter(|i| !is_anomalous(i)).collect();
    normal.sort_by(|a, b| of.image_score(*b).total_cmp(&of.image_score(*a)));
    let mut kinds: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for i in all.clone() {
        if let Some(kind) = &features.test[of.samples[i]].defect {
            kinds.entry(kind).or_default().push(i);
        }
    }
    let longest = kinds.values().map(Vec::len).max().unwrap_or(0);
    let by_kind = (0..longest).flat_map(|round| kinds.values().filter_map(move |v| v.get(round)));
    let fixed: Vec<usize> = by_kind.copied().chain(all.filter(|i| !is_anomalous(i))).collect();
    take_turns(
        [
            (Reason::Best, fitted),
            (Reason::Worst, worst),
            (Reason::Fixed, fixed),
            (Reason::Normal, normal),
        ],
        count,
    )
}

/// Up to `count` of the lists' first that were not taken before, list after list.
fn take_turns(lists: [(Reason, Vec<usize>); 4], count: usize) -> Vec<(usize, Reason)> {
    let mut chosen: Vec<(usize, Reason)> = Vec::new();
    loop {
        let before = chosen.len();
        for (reason, list) in &lists {
            let next = list.iter().find(|i| chosen.iter().all(|(c, _)| c != *i));
            if let Some(i) = next
                && chosen.len() < count
            {
                chosen.push((*i, *reason));
            }
        }
        if chosen.len() == before {
            return chosen;
        }
    }
}

/// A JPEG of RGB pixels (side, side).
fn jpeg(pixels: &[u8], side: usize) -> Result<Picture, ExperimentError> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode(pixels, side as u32, side as u32, ExtendedColorType::Rgb8)
        .map_err(|e| ExperimentError::File {
            path: "report.html".into(),
            reason: format!("a picture cannot be encoded: {e}"),
        })?;
    Ok(Picture::jpeg(&bytes))
}

/// Colours of a map (size, size) at (side, side).
fn colors(map: &[f32], size: usize, side: usize, (low, high): (f32, f32)) -> Vec<u8> {
    let whole: Option<ImageBuffer<Luma<f32>, Vec<f32>>> =
        ImageBuffer::from_raw(size as u32, size as u32, map.to_vec());
    let small = whole.map(|w| resize(&w, side as u32, side as u32, FilterType::Triangle));
    let values = small.map(ImageBuffer::into_raw).unwrap_or_default();
    let scaled = |v: &f32| (v - low) / (high - low).max(f32::MIN_POSITIVE);
    values.iter().flat_map(|v| heat(scaled(v))).collect()
}

/// Outlines of `field` (size, size) at `limit`; of a large field, of the largest value in each block,
/// so that nothing above the limit is lost.
fn rings(field: &[f32], size: usize, limit: f32) -> Vec<Ring> {
    let block = size.div_ceil(OUTLINED).max(1);
    if block == 1 {
        return outline(field, size, limit);
    }
    let side = size.div_ceil(block);
    let mut largest = vec![f32::NEG_INFINITY; side * side];
    for (i, v) in field.iter().enumerate() {
        let at = &mut largest[i / size / block * side + i % size / block];
        *at = at.max(*v);
    }
    outline(&largest, side, limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_of_known_contours() {
        let map = [0.9, 0.8, 0.1, 0.2];
        assert_eq!(f1(&map, &[true, true, false, false], 0.5), 1.0);
        assert_eq!(f1(&map, &[true, false, false, true], 0.5), 0.5);
        assert_eq!(f1(&map, &[false; 4], 2.0), 0.0);
    }

    #[test]
    fn lists_take_turns_and_no_image_comes_twice() {
        let lists = [
            (Reason::Best, vec![3, 1, 2]),
            (Reason::Worst, vec![2, 1, 3]),
            (Reason::Fixed, vec![3, 2, 1]),
            (Reason::Normal, vec![7]),
        ];
        let all = take_turns(lists.clone(), 9);
        let expected =
            [(3, Reason::Best), (2, Reason::Worst), (1, Reason::Fixed), (7, Reason::Normal)];
        assert_eq!(all, expected);
        assert_eq!(take_turns(lists, 2), expected[..2]);
    }

    #[test]
    fn a_large_field_keeps_its_small_spots() {
        let size = 600;
        let mut field = vec![0.0; size * size];
        field[300 * size + 451] = 1.0;
        let rings = rings(&field, size, 0.5);
        assert_eq!(rings.len(), 1);
        let [x, y] = rings[0][0];
        assert!((x - 0.752).abs() < 0.01 && (y - 0.502).abs() < 0.01, "{x} {y}");
    }
}
