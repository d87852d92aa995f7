//! What mixes the entries of a vector between two couplings.

use crate::{Bijection, FlowError, Householder, LuLinear, Rotation};
use candle_core::Tensor;
use hgad_parameters::Parameters;

/// A bijection `z = x W^T`, so that entries which one coupling leaves alone meet the next one.
pub trait Mixing: Bijection {
    /// W as it is now, (D, D).
    ///
    /// # Errors
    /// From candle.
    fn matrix(&self) -> Result<Tensor, FlowError>;

    /// `ln |det W|` as a scalar; none where W keeps volumes.
    ///
    /// # Errors
    /// From candle.
    fn log_det(&self) -> Result<Option<Tensor>, FlowError> {
        Ok(None)
    }

    /// Whether W is trained.
    fn learned(&self) -> bool;
}

/// The kinds of [`Mixing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permutation {
    /// A fixed random rotation: [`Rotation::soft`].
    Soft,
    /// A fixed random permutation: [`Rotation::hard`].
    Hard,
    /// A random rotation and learned reflections: [`Householder`].
    Householder,
    /// Any invertible matrix, learned by its triangular factors: [`LuLinear`].
    Lu,
}

/// Names of the kinds, in the order of [`Permutation`].
pub const PERMUTATIONS: [&str; 4] = ["soft", "hard", "householder", "lu"];

impl Permutation {
    const ALL: [Self; 4] = [Self::Soft, Self::Hard, Self::Householder, Self::Lu];

    /// The kind of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn named(name: &str) -> Result<Self, FlowError> {
        let found = PERMUTATIONS.iter().position(|n| *n == name);
        found.map(|i| Self::ALL[i]).ok_or(FlowError::Setting {
            key: "permutation",
            value: name.into(),
            why: "expected soft, hard, householder or lu",
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().position(|p| *p == self).map_or("", |i| PERMUTATIONS[i])
    }

    /// What a flow of this crate has where its settings leave it open; `None` of another flow.
    pub fn usual(flow: &str) -> Option<Self> {
        Some(match flow {
            "coupling" => Self::Soft,
            "glow" | "spline" => Self::Lu,
            "nice" | "realnvp" | "fastflow" => Self::Hard,
            _ => return None,
        })
    }

    /// One over vectors of `dim` entries at its start; `reflections` counts for
    /// [`Permutation::Householder`] alone.
    ///
    /// # Errors
    /// No dimension; no reflections where they count.
    pub fn build(
        self,
        parameters: &Parameters,
        dim: usize,
        reflections: usize,
    ) -> Result<Box<dyn Mixing>, FlowError> {
        Ok(match self {
            Self::Soft => Box::new(Rotation::soft(parameters, dim)?),
            Self::Hard => Box::new(Rotation::hard(parameters, dim)?),
            Self::Householder => Box::new(Householder::new(parameters, dim, reflections)?),
            Self::Lu => Box::new(LuLinear::new(parameters, dim)?),
        })
    }
}
