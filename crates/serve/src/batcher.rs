//! Micro-batching: images that wait while the model is at work go through it together.

use crate::metrics::Metrics;
use hgad_experiment::predict::Prepared;
use hgad_experiment::{ClassChoice, ExperimentError, Prediction, Predictor};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// An image on its way.
struct Job {
    prepared: Prepared,
    class: ClassChoice,
    answer: oneshot::Sender<Result<Prediction, ExperimentError>>,
}

/// The way to the model's thread. It ends when the last of its users is gone, after what they sent.
pub struct Batcher {
    queue: mpsc::Sender<Job>,
    metrics: Arc<Metrics>,
    thread: JoinHandle<()>,
}

impl Batcher {
    /// Starts the model's thread, which takes up to `most` images at once.
    pub fn start(predictor: Arc<Predictor>, most: usize, metrics: Arc<Metrics>) -> Self {
        let (queue, jobs) = mpsc::channel();
        let counted = metrics.clone();
        let thread = std::thread::spawn(move || work(&predictor, &jobs, most.max(1), &counted));
        Self { queue, metrics, thread }
    }

    /// Whether the model's thread lives.
    pub fn lives(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Puts an image in the queue; its prediction comes by what is given back, and is not made any
    /// more once that is dropped. `None` where the model's thread has died.
    pub fn enqueue(
        &self,
        prepared: Prepared,
        class: ClassChoice,
    ) -> Option<oneshot::Receiver<Result<Prediction, ExperimentError>>> {
        let (answer, wait) = oneshot::channel();
        self.metrics.waiting.inc();
        if self.queue.send(Job { prepared, class, answer }).is_err() {
            self.metrics.waiting.dec();
            return None;
        }
        Some(wait)
    }
}

fn work(predictor: &Predictor, jobs: &mpsc::Receiver<Job>, most: usize, metrics: &Metrics) {
    while let Ok(first) = jobs.recv() {
        let mut batch = vec![first];
        while batch.len() < most
            && let Ok(job) = jobs.try_recv()
        {
            batch.push(job);
        }
        metrics.waiting.dec_by(batch.len() as i64);
        // Nobody waits any more for what took too long.
        batch.retain(|job| !job.answer.is_closed());
        if batch.is_empty() {
            continue;
        }
        metrics.batches.observe(batch.len() as f64);
        let (mut images, mut classes, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        for job in batch {
            images.push(job.prepared);
            classes.push(job.class);
            answers.push(job.answer);
        }
        let results: Vec<Result<Prediction, ExperimentError>> = match predictor
            .predict_prepared(&images, &classes)
        {
            Ok(all) => all.into_iter().map(Ok).collect(),
            // Whose fault it was, each alone.
            Err(_) => images.iter().zip(&classes).map(|(i, c)| alone(predictor, i, c)).collect(),
        };
        for (answer, result) in answers.into_iter().zip(results) {
            let _ = answer.send(result);
        }
    }
}

fn alone(
    predictor: &Predictor,
    image: &Prepared,
    class: &ClassChoice,
) -> Result<Prediction, ExperimentError> {
    let mut one =
        predictor.predict_prepared(std::slice::from_ref(image), std::slice::from_ref(class))?;
    one.pop().ok_or_else(|| ExperimentError::File {
        path: "model".into(),
        reason: "it gave no prediction".into(),
    })
}
