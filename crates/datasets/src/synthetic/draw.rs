use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::geometry::Point;

/// Random choices of one image, the same for the same key.
pub(crate) struct Draw(ChaCha8Rng);

impl Draw {
    /// `key` says what is drawn: two different keys give independent draws.
    pub(crate) fn new(key: &str) -> Self {
        Self(ChaCha8Rng::from_seed(*blake3::hash(key.as_bytes()).as_bytes()))
    }

    pub(crate) fn range(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * self.0.random::<f32>()
    }

    /// In -by..by, more often near 0.
    pub(crate) fn around(&mut self, by: f32) -> f32 {
        by * (self.0.random::<f32>() - self.0.random::<f32>())
    }

    pub(crate) fn point(&mut self, by: f32) -> Point {
        [self.range(-by, by), self.range(-by, by)]
    }

    pub(crate) fn sign(&mut self) -> f32 {
        if self.0.random::<bool>() { 1.0 } else { -1.0 }
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        ((self.0.random::<f32>() * n as f32) as usize).min(n.saturating_sub(1))
    }

    pub(crate) fn bits(&mut self) -> u32 {
        self.0.random()
    }
}
