//! The learning rate of a step.

use crate::config::TrainConfig;

/// Cosine over epochs from `rate` to `rate * rate_decay³`, with a linear warm-up by step from a
/// tenth of the rate over the first `warm_epochs` (the authors' schedule; method of HGAD).
/// `epoch` counts from 0, `step` from 0 within the epoch of `steps` steps.
pub fn learning_rate(c: &TrainConfig, epoch: usize, step: usize, steps: usize) -> f64 {
    let floor = c.rate * c.rate_decay.powi(3);
    let cosine = |epoch: usize| {
        let angle = std::f64::consts::PI * epoch as f64 / c.epochs as f64;
        floor + (c.rate - floor) * (1.0 + angle.cos()) / 2.0
    };
    if epoch >= c.warm_epochs {
        return cosine(epoch);
    }
    let part = (step + epoch * steps) as f64 / (c.warm_epochs * steps) as f64;
    c.rate / 10.0 + part * (cosine(c.warm_epochs) - c.rate / 10.0)
}
