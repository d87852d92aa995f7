use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use crate::dataset::{Dataset, Sample};
use crate::error::DatasetError;
use crate::transform::Transform;

/// One sample as a model takes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Normalized pixels: (img_size, img_size, 3), row by row, channels last.
    pub image: Vec<f32>,
    /// Which pixels are anomalous: (mask_size, mask_size), row by row; all `false` for a normal sample.
    pub mask: Vec<bool>,
}

/// Decodes and transforms one sample.
///
/// # Errors
/// Those of [`Dataset::image`], [`Dataset::mask`] and [`Transform::image`].
pub fn load_sample(
    dataset: &dyn Dataset,
    sample: &Sample,
    transform: &Transform,
    mask_size: usize,
) -> Result<Loaded, DatasetError> {
    let image = transform.image(&dataset.image(sample)?)?;
    let mask = match dataset.mask(sample)? {
        Some(mask) => transform.mask(&mask, mask_size)?,
        None => vec![false; mask_size * mask_size],
    };
    Ok(Loaded { image, mask })
}

/// Runs `load` on all `items` with as many threads as rayon has, ahead of the consumer, and yields
/// `(index, result)` in the order of the items. The threads are its own: a consumer that computes
/// on rayon's shares the cores with them and waits only where loading is what bounds both.
///
/// At most `ahead` items (at least one) are being loaded or wait to be taken, which bounds memory.
/// Dropping the iterator stops the workers after the items they are at. A panic in `load` comes
/// out of the iterator. Call it inside [`std::thread::scope`], so that `items` and `load` may borrow:
///
/// ```
/// let words = ["a", "bb", "ccc"];
/// let lengths: Vec<(usize, usize)> = std::thread::scope(|scope| {
///     hgad_datasets::load_ahead(scope, &words, 2, |word| word.len()).collect()
/// });
/// assert_eq!(lengths, [(0, 1), (1, 2), (2, 3)]);
/// ```
pub fn load_ahead<'scope, 'env, I, T, F>(
    scope: &'scope Scope<'scope, 'env>,
    items: &'env [I],
    ahead: usize,
    load: F,
) -> LoadAhead<T>
where
    I: Sync,
    T: Send + 'scope,
    F: Fn(&'env I) -> T + Send + Sync + 'scope,
{
    let ahead = ahead.max(1);
    let shared = Arc::new(Shared {
        state: Mutex::new(State { next: 0, taken: 0, ready: BTreeMap::new(), closed: false }),
        room: Condvar::new(),
        arrival: Condvar::new(),
    });
    let load = Arc::new(load);
    let threads = rayon::current_num_threads();
    for _ in 0..threads.min(ahead).min(items.len()) {
        let (shared, load) = (Arc::clone(&shared), Arc::clone(&load));
        scope.spawn(move || {
            while let Some(index) = shared.claim(items.len(), ahead) {
                let result = catch_unwind(AssertUnwindSafe(|| load(&items[index])));
                shared.deliver(index, result);
            }
        });
    }
    LoadAhead { shared, len: items.len() }
}

/// The iterator of [`load_ahead`].
pub struct LoadAhead<T> {
    shared: Arc<Shared<T>>,
    len: usize,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    /// Signalled when an item is taken, or when the iterator is dropped.
    room: Condvar,
    /// Signalled when an item is ready.
    arrival: Condvar,
}

struct State<T> {
    /// The next index to load.
    next: usize,
    /// How many items the consumer has taken.
    taken: usize,
    ready: BTreeMap<usize, Result<T, Box<dyn Any + Send>>>,
    closed: bool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index to load next, once there is room for it.
    fn claim(&self, len: usize, ahead: usize) -> Option<usize> {
        let mut state = self.lock();
        while !state.closed && state.next < len && state.next >= state.taken + ahead {
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed || state.next >= len {
            return None;
        }
        state.next += 1;
        Some(state.next - 1)
    }

    fn deliver(&self, index: usize, result: Result<T, Box<dyn Any + Send>>) {
        self.lock().ready.insert(index, result);
        self.arrival.notify_all();
    }
}

impl<T> Iterator for LoadAhead<T> {
    type Item = (usize, T);

    fn next(&mut self) -> Option<(usize, T)> {
        let mut state = self.shared.lock();
        if state.taken == self.len {
            return None;
        }
        let index = state.taken;
        loop {
            if let Some(result) = state.ready.remove(&index) {
                state.taken += 1;
                drop(state);
                self.shared.room.notify_all();
                match result {
                    Ok(value) => return Some((index, value)),
                    Err(panic) => resume_unwind(panic),
                }
            }
            state = self.shared.arrival.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.len - self.shared.lock().taken;
        (left, Some(left))
    }
}

impl<T> ExactSizeIterator for LoadAhead<T> {}

impl<T> Drop for LoadAhead<T> {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.room.notify_all();
    }
}
