//! Random numbers that depend on a seed and a name, and on nothing else.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// A stream of draws.
pub struct Draws(ChaCha8Rng);

/// The stream of `name` under `seed`: the same on every machine and in every version.
pub fn seeded(seed: u64, name: &str) -> Draws {
    // FNV-1a, since the hash must never change and the standard library's may.
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ b as u64).wrapping_mul(0x0000_0100_0000_01b3));
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&hash.to_le_bytes());
    Draws(ChaCha8Rng::from_seed(key))
}

impl Draws {
    /// Uniform over [0, 1), 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform over [low, high).
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Standard normal (Box and Muller, 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Uniform over 0..n; `n` must not be 0.
    pub fn below(&mut self, n: usize) -> usize {
        // The bias of a modulus of 64 bits is below 2^-40 for any set that fits in memory.
        (self.0.next_u64() % n as u64) as usize
    }

    /// A uniform permutation of 0..n (Fisher and Yates).
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        for i in (1..n).rev() {
            order.swap(i, self.below(i + 1));
        }
        order
    }
}
