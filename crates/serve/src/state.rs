//! What all requests share.

use crate::batcher::Batcher;
use crate::metrics::Metrics;
use crate::options::ServeOptions;
use hgad_experiment::Predictor;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;

/// The server's state; clones share it.
#[derive(Clone)]
pub struct App(Arc<Shared>);

/// See [`App`].
pub struct Shared {
    /// The model.
    pub predictor: Arc<Predictor>,
    /// Settings.
    pub options: ServeOptions,
    /// Where images wait for the model.
    pub batcher: Batcher,
    /// Counts and times.
    pub metrics: Arc<Metrics>,
    /// One for each request for predictions that is being answered.
    pub admitted: Arc<Semaphore>,
    /// One for each image that is being decoded or drawn, the most that a core has to hold at once.
    pub decoding: Arc<Semaphore>,
    ready: AtomicBool,
}

impl App {
    /// Ready from the start: the model is loaded before.
    pub fn new(predictor: Arc<Predictor>, options: ServeOptions) -> Self {
        let metrics = Arc::new(Metrics::new());
        let batcher = Batcher::start(predictor.clone(), options.batch.0, metrics.clone());
        let places = options.limits.requests.clamp(1, Semaphore::MAX_PERMITS);
        let admitted = Arc::new(Semaphore::new(places));
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let decoding = Arc::new(Semaphore::new(cores));
        let ready = AtomicBool::new(true);
        Self(Arc::new(Shared { predictor, options, batcher, metrics, admitted, decoding, ready }))
    }

    /// Whether new requests are welcome.
    pub fn is_ready(&self) -> bool {
        self.0.ready.load(Ordering::Relaxed) && self.0.batcher.lives()
    }

    /// From now on they are not: the server is going down.
    pub fn retire(&self) {
        self.0.ready.store(false, Ordering::Relaxed);
    }
}

impl std::ops::Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
