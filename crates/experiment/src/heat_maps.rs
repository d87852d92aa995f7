//! Pictures of test images beside their masks and anomaly maps.

use crate::atomic;
use crate::color::heat;
use crate::data::Data;
use crate::error::ExperimentError;
use crate::evaluate::{ClassMaps, Truth};
use crate::features::Features;
use hgad_datasets::Transform;
use hgad_metrics::auroc;
use image::{ImageEncoder, RgbImage};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

const GAP: u32 = 4;
const PAPER: image::Rgb<u8> = image::Rgb([255, 255, 255]);

/// Draws `CLASS/DEFECT_NAME.png` (image, image with the mask's outline, heat map) for
/// `maps.per_class` test images of each class, spread over the kinds of defect, and
/// `overview.png` with one anomalous image of each class; in `best-and-worst.png`, a row a class, the
/// anomalous image whose map tells its mask's pixels best from its others, and the one whose map does so worst.
pub struct HeatMaps<'a> {
    per_class: usize,
    folder: PathBuf,
    features: &'a Features,
    data: &'a Data,
    truth: &'a Truth,
    crop: Transform,
    overview: Vec<RgbImage>,
    extremes: Vec<RgbImage>,
}

impl<'a> HeatMaps<'a> {
    /// Pictures in `folder`; none for a `per_class` of 0.
    pub fn new(
        per_class: usize,
        folder: PathBuf,
        features: &'a Features,
        data: &'a Data,
        truth: &'a Truth,
    ) -> Self {
        let crop = Transform { img_size: truth.size, ..features.transform };
        Self {
            per_class,
            folder,
            features,
            data,
            truth,
            crop,
            overview: Vec::new(),
            extremes: Vec::new(),
        }
    }

    /// Draws those of one class.
    ///
    /// # Errors
    /// I/O; an image that can no longer be read.
    pub fn draw(&mut self, of: &ClassMaps, class: &str) -> Result<(), ExperimentError> {
        if self.per_class == 0 {
            return Ok(());
        }
        let scale = range(of);
        let mut shown = false;
        for i in choose(of, self.features, self.per_class) {
            let strip = self.strip(of, i, scale)?;
            let index = of.samples[i];
            let sample = &self.features.test[index];
            let mask = &self.truth.masks[index];
            let name = file_name(&sample.id, sample.defect.as_deref());
            save(&self.folder.join(class.replace('/', "_")).join(name), &strip)?;
            if mask.is_some() && !shown {
                shown = true;
                self.overview.push(strip);
            }
        }
        for i in best_and_worst(of, self.truth).into_iter().flatten() {
            let strip = self.strip(of, i, scale)?;
            self.extremes.push(strip);
        }
        Ok(())
    }

    /// The picture of the `i`-th sample.
    fn strip(
        &self,
        of: &ClassMaps,
        i: usize,
        scale: (f32, f32),
    ) -> Result<RgbImage, ExperimentError> {
        let index = of.samples[i];
        let image = self.crop.crop(&self.data.dataset.image(&self.features.test[index])?)?;
        Ok(strip(&image, self.truth.masks[index].as_deref(), of.map(i), scale))
    }

    /// Draws what shows all classes at once.
    ///
    /// # Errors
    /// I/O.
    pub fn finish(self) -> Result<(), ExperimentError> {
        for (name, strips) in
            [("overview.png", &self.overview), ("best-and-worst.png", &self.extremes)]
        {
            if !strips.is_empty() {
                save(&self.folder.join(name), &grid(strips))?;
            }
        }
        Ok(())
    }
}

/// The scale of a class's colours: its lowest value, and the highest but for one in 10,000.
pub fn range(of: &ClassMaps) -> (f32, f32) {
    let mut values: Vec<f32> = of.maps.iter().copied().step_by(7).collect();
    values.sort_unstable_by(f32::total_cmp);
    let at = |q: f64| values[((values.len() - 1) as f64 * q) as usize];
    (at(0.0), at(0.9999))
}

/// `count` samples: the kinds of defect in turn, highest score first, and a few normal ones.
fn choose(of: &ClassMaps, features: &Features, count: usize) -> Vec<usize> {
    let mut kinds: std::collections::BTreeMap<Option<&str>, Vec<usize>> = Default::default();
    for (i, s) in of.samples.iter().enumerate() {
        kinds.entry(features.test[*s].defect.as_deref()).or_default().push(i);
    }
    let score = |i: usize| of.image_score(i);
    kinds.values_mut().for_each(|v| v.sort_by(|a, b| score(*b).total_cmp(&score(*a))));
    let mut chosen = Vec::new();
    let mut round = 0;
    while chosen.len() < count.min(of.samples.len()) {
        for of_kind in kinds.values().rev() {
            if let Some(i) = of_kind.get(round)
                && chosen.len() < count
            {
                chosen.push(*i);
            }
        }
        round += 1;
    }
    chosen
}

/// The anomalous samples of the highest and of the lowest pixel AUROC within their own image; none where no
/// mask tells pixels of an image apart.
fn best_and_worst(of: &ClassMaps, truth: &Truth) -> Option<[usize; 2]> {
    let within = |i: usize| {
        let mask = truth.masks[of.samples[i]].as_deref()?;
        Some((auroc(of.map(i), mask).ok()?, i))
    };
    let all: Vec<_> = (0..of.samples.len()).into_par_iter().filter_map(within).collect();
    let by_auroc = |a: &&(f64, usize), b: &&(f64, usize)| a.0.total_cmp(&b.0);
    Some([all.iter().max_by(by_auroc)?.1, all.iter().min_by(by_auroc)?.1])
}

/// Image, image with the outline of the mask, heat map, side by side.
fn strip(
    image: &RgbImage,
    mask: Option<&[bool]>,
    map: &[f32],
    (low, high): (f32, f32),
) -> RgbImage {
    let side = image.width();
    let mut out = RgbImage::from_pixel(side * 3 + GAP * 2, side, PAPER);
    let inside = |x: u32, y: u32| mask.is_some_and(|m| m[(y * side + x) as usize]);
    for (x, y, pixel) in image.enumerate_pixels() {
        out.put_pixel(x, y, *pixel);
        let around = [(1, 0), (0, 1), (-1, 0), (0, -1), (2, 0), (0, 2), (-2, 0), (0, -2)];
        let edge = inside(x, y)
            && around.iter().any(|(dx, dy)| {
                match (x.checked_add_signed(*dx), y.checked_add_signed(*dy)) {
                    (Some(u), Some(v)) if u < side && v < side => !inside(u, v),
                    _ => true,
                }
            });
        let outlined = if edge { image::Rgb([0, 220, 130]) } else { *pixel };
        out.put_pixel(x + side + GAP, y, outlined);
        let v = (map[(y * side + x) as usize] - low) / (high - low).max(f32::MIN_POSITIVE);
        out.put_pixel(x + 2 * (side + GAP), y, image::Rgb(heat(v)));
    }
    out
}

/// Strips in two columns.
fn grid(strips: &[RgbImage]) -> RgbImage {
    let (w, h) = strips[0].dimensions();
    let columns = if strips.len() > 1 { 2 } else { 1 };
    let rows = (strips.len() as u32).div_ceil(columns);
    let space = GAP * 4;
    let mut out =
        RgbImage::from_pixel(columns * (w + space) - space, rows * (h + GAP) - GAP, PAPER);
    for (i, strip) in strips.iter().enumerate() {
        let (column, row) = (i as u32 % columns, i as u32 / columns);
        let (x, y) = (column * (w + space), row * (h + GAP));
        image::imageops::replace(&mut out, strip, x as i64, y as i64);
    }
    out
}

fn file_name(id: &str, defect: Option<&str>) -> String {
    let stem = Path::new(id).file_stem().and_then(|s| s.to_str()).unwrap_or("image");
    format!("{}_{stem}.png", defect.unwrap_or("good"))
}

fn save(path: &Path, picture: &RgbImage) -> Result<(), ExperimentError> {
    atomic::write(path, |mut w| {
        image::codecs::png::PngEncoder::new(&mut w)
            .write_image(
                picture.as_raw(),
                picture.width(),
                picture.height(),
                image::ExtendedColorType::Rgb8,
            )
            .map_err(std::io::Error::other)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_and_the_worst_are_by_their_own_pixels() {
        let mask = |at: usize| Some((0..4).map(|i| i == at).collect::<Vec<bool>>());
        // Found; lowest of all though the image is high; between; normal.
        let maps = [[0.1, 0.2, 0.1, 0.1], [9.0, 8.0, 9.0, 9.0], [5.0, 6.0, 7.0, 1.0], [0.0; 4]];
        let truth = Truth { size: 2, masks: vec![mask(1), mask(1), mask(1), None] };
        let of = |samples: &'static [usize]| ClassMaps {
            class: 0,
            samples,
            size: 2,
            scores: vec![0.0; samples.len()],
            maps: samples.iter().flat_map(|s| maps[*s]).collect(),
            taken_for: vec![0; samples.len()],
            levels: Vec::new(),
        };
        assert_eq!(best_and_worst(&of(&[0, 1, 2, 3]), &truth), Some([0, 1]));
        assert_eq!(best_and_worst(&of(&[3, 2, 0]), &truth), Some([2, 1]));
        assert_eq!(best_and_worst(&of(&[3]), &truth), None);
    }
}
