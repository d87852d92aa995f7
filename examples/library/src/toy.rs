//! Points in the plane.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::f32::consts::{PI, TAU};

/// A distribution to draw from, with as many groups as it is made of.
#[derive(Clone, Copy)]
pub enum Toy {
    /// Two half circles, one in the other.
    Moons,
    /// Five arms that turn.
    Pinwheel,
}

impl Toy {
    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "moons" => Some(Self::Moons),
            "pinwheel" => Some(Self::Pinwheel),
            _ => None,
        }
    }

    /// Groups that it is made of.
    pub fn groups(self) -> usize {
        match self {
            Self::Moons => 2,
            Self::Pinwheel => 5,
        }
    }

    /// `n` points, within about 4 of the origin.
    pub fn draw(self, n: usize, seed: u64) -> Vec<[f32; 2]> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..n).map(|_| self.point(&mut rng)).collect()
    }

    fn point(self, rng: &mut ChaCha8Rng) -> [f32; 2] {
        let group = rng.random_range(0..self.groups());
        match self {
            Self::Moons => {
                let angle = PI * rng.random::<f32>();
                let (x, y) = (2.0 * angle.cos(), 2.0 * angle.sin());
                let [x, y] = if group == 0 { [x - 1.0, y - 0.5] } else { [1.0 - x, 0.5 - y] };
                [x + 0.2 * normal(rng), y + 0.2 * normal(rng)]
            }
            Self::Pinwheel => {
                let (along, across) = (2.0 + 0.6 * normal(rng), 0.2 * normal(rng));
                let turn = TAU * group as f32 / 5.0 + 0.5 * (along - 2.0);
                let (sin, cos) = turn.sin_cos();
                [along * cos - across * sin, along * sin + across * cos]
            }
        }
    }
}

/// From N(0, 1), by Box and Muller.
fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let radius = (-2.0 * (1.0 - rng.random::<f32>()).ln()).sqrt();
    radius * (TAU * rng.random::<f32>()).cos()
}
