use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::dataset::{Dataset, Sample};
use crate::error::DatasetError;

/// Decodes the images and masks of all `samples` on all cores and returns those that fail, by
/// index in `samples`, in order. `progress` is called with the number done after each.
///
/// A class index outside the data set's classes is not looked at here.
pub fn find_unreadable(
    dataset: &dyn Dataset,
    samples: &[Sample],
    progress: impl Fn(usize) + Sync,
) -> Vec<(usize, DatasetError)> {
    let done = AtomicUsize::new(0);
    samples
        .par_iter()
        .enumerate()
        .filter_map(|(index, sample)| {
            let read = dataset.image(sample).and_then(|_| dataset.mask(sample));
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            read.err().map(|error| (index, error))
        })
        .collect()
}
