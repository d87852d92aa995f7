//! Which image of the pyramid the photographs of a class fill by themselves.

use crate::config::Config;
use crate::error::ExperimentError;
use hgad_datasets::{Dataset, Sample};

/// Images of a class that are looked at.
const IMAGES: usize = 16;

/// By class, the index of the size of the pyramid, from the largest, that is nearest to the shorter side of its
/// training images: 0 where these are as large as `data.img_size` or larger. A larger size shows a smaller image
/// magnified, with nothing in it that the photograph has not.
///
/// # Errors
/// An image that can no longer be read.
pub(crate) fn native_sizes(
    config: &Config,
    dataset: &dyn Dataset,
    train: &[Sample],
) -> Result<Vec<usize>, ExperimentError> {
    let classes = dataset.classes().len();
    if config.backbone.pyramid < 2 || config.score.coarser == 1.0 {
        return Ok(vec![0; classes]);
    }
    let of_class = |class: usize| {
        let own: Vec<&Sample> = train.iter().filter(|s| s.class == class).collect();
        let every = own.len().div_ceil(IMAGES).max(1);
        let sides = own.into_iter().step_by(every).map(|s| {
            let (width, height) = dataset.dimensions(s)?;
            Ok(width.min(height))
        });
        let mut sides: Vec<u32> = sides.collect::<Result<_, ExperimentError>>()?;
        sides.sort_unstable();
        let side = sides.get(sides.len() / 2).copied();
        Ok(side.map_or(0, |s| nearest(s, config.data.img_size, config.backbone.pyramid)))
    };
    (0..classes).map(of_class).collect()
}

/// Which of `sizes` sizes, each half of the one before and the first `largest`, is nearest to `side` in ratio.
fn nearest(side: u32, largest: usize, sizes: usize) -> usize {
    let halvings = (largest as f64 / f64::from(side.max(1))).log2().round().max(0.0) as usize;
    halvings.min(sizes.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnified_images_belong_to_a_smaller_size() {
        let at = |side| nearest(side, 512, 3);
        assert_eq!([2000, 512, 380, 350, 265, 130, 20, 0].map(at), [0, 0, 0, 1, 1, 2, 2, 2]);
        assert_eq!(nearest(100, 512, 1), 0);
    }
}
