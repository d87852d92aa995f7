//! `load/KIND/image` (decode, Lanczos to 256 pixels, normalize) and `load/KIND/decoder` (its
//! floor: the decoder alone), on all threads.

use super::image_files::{ImageFiles, JPEG, Kind, PNG};
use crate::case::{Plan, Setup};
use crate::error::BenchError;
use hgad_datasets::{DatasetError, Transform, load_ahead, read_image};
use std::path::Path;

const SIDE: usize = 256;
/// Files are read again until there are so many images, for threads to share evenly.
const IMAGES: usize = 48;

pub(crate) fn plans() -> Vec<Plan> {
    let unit = "ms an image";
    [JPEG, PNG]
        .into_iter()
        .flat_map(|kind| {
            [
                Plan::new(format!("load/{}/image", kind.name), unit, move |setup| {
                    let transform = Transform::imagenet(SIDE);
                    all(kind, setup, |path| transform.image(&read_image(path)?).map(drop))
                }),
                Plan::new(format!("load/{}/decoder", kind.name), unit, move |setup| {
                    all(kind, setup, |path| read_image(path).map(drop))
                }),
            ]
        })
        .collect()
}

fn all(
    kind: Kind,
    setup: &Setup,
    load: impl Fn(&Path) -> Result<(), DatasetError> + Send + Sync,
) -> Result<f64, BenchError> {
    let files = ImageFiles::of(kind, setup)?;
    let paths: Vec<&Path> = files.paths.iter().map(AsRef::as_ref).cycle().take(IMAGES).collect();
    let ahead = 2 * rayon::current_num_threads();
    let seconds = setup.clock.median(|| {
        std::thread::scope(|scope| {
            load_ahead(scope, &paths, ahead, |path| load(path)).try_for_each(|(_, done)| done)
        })
    });
    Ok(seconds.map_err(BenchError::from)? / IMAGES as f64 * 1e3)
}
