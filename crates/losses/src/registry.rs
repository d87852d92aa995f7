//! Loss terms by name, and their weights.

use crate::{Entropy, InterClass, IntraClass, Likelihood, LossError, LossTerm, MutualInformation};
use hgad_registry::Registry;

/// Weights of a term in the first and in the second stage; 0 leaves it out of that stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stages(pub [f64; 2]);

/// The weight of a term as it is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Weight {
    /// In the stages in which the term counts by itself.
    Usual(f64),
    /// In the first and in the second stage.
    Each([f64; 2]),
}

impl From<f64> for Weight {
    fn from(weight: f64) -> Self {
        Self::Usual(weight)
    }
}

impl Weight {
    /// By stage, of a term that by itself counts in the second alone or in both.
    pub fn stages(self, second_alone: bool) -> Stages {
        Stages(match self {
            Self::Each(weights) => weights,
            Self::Usual(w) if second_alone => [0.0, w],
            Self::Usual(w) => [w, w],
        })
    }
}

/// Weights of the terms and what else a loss is made from.
#[derive(Clone, Debug, PartialEq)]
pub struct LossConfig {
    /// λ1, of the inter-class mixture.
    pub inter: Weight,
    /// λ2, of the mutual information, which is maximized.
    pub mutual_information: Weight,
    /// Of the entropy.
    pub entropy: Weight,
    /// Of the intra-class mixture.
    pub intra: Weight,
    /// Of the likelihood.
    pub likelihood: Weight,
    /// Of terms that another crate registered.
    pub more: Vec<(String, Weight)>,
    /// Label smoothing of the mutual information.
    pub smoothing: f64,
    /// Epoch (from 0) with which the second stage begins.
    pub second_stage: usize,
}

impl Default for LossConfig {
    /// The paper's: λ1 = 1, λ2 = 100, smoothing 0.02, second stage from the third epoch.
    fn default() -> Self {
        let one = Weight::Usual(1.0);
        Self {
            inter: one,
            mutual_information: Weight::Usual(100.0),
            entropy: one,
            intra: one,
            likelihood: one,
            more: Vec::new(),
            smoothing: 0.02,
            second_stage: 2,
        }
    }
}

impl LossConfig {
    /// The weight of every term that is set, by name.
    pub fn weights(&self) -> Vec<(String, Weight)> {
        let own = [
            ("inter", self.inter),
            ("mutual_information", self.mutual_information),
            ("entropy", self.entropy),
            ("intra", self.intra),
            ("likelihood", self.likelihood),
        ];
        let own = own.into_iter().map(|(name, weight)| (name.to_string(), weight));
        own.chain(self.more.iter().cloned()).collect()
    }
}

/// How a term is made.
#[derive(Clone, Copy)]
pub struct TermEntry {
    /// Makes it.
    pub make: fn(&LossConfig) -> Box<dyn LossTerm>,
    /// Whether by itself it counts in the second stage alone.
    pub second_alone: bool,
}

/// One line a term.
static REGISTRY: Registry<TermEntry> = Registry::new(&[
    ("inter", TermEntry { make: |_| Box::new(InterClass), second_alone: false }),
    (
        "mutual_information",
        TermEntry {
            make: |c| Box::new(MutualInformation { smoothing: c.smoothing }),
            second_alone: false,
        },
    ),
    ("entropy", TermEntry { make: |_| Box::new(Entropy), second_alone: false }),
    ("intra", TermEntry { make: |_| Box::new(IntraClass), second_alone: true }),
    ("likelihood", TermEntry { make: |_| Box::new(Likelihood), second_alone: true }),
]);

/// The names of all terms.
pub fn kinds() -> Vec<String> {
    REGISTRY.names()
}

/// Adds a term of another crate, found from then on in this process.
///
/// # Errors
/// The name is taken.
pub fn register(name: &str, entry: TermEntry) -> Result<(), LossError> {
    Ok(REGISTRY.register(name, entry)?)
}

/// The term of that name, and its weights by stage.
pub(crate) fn build(
    name: &str,
    config: &LossConfig,
    weight: Weight,
) -> Result<(Box<dyn LossTerm>, Stages), LossError> {
    match REGISTRY.get(name) {
        Some(entry) => Ok(((entry.make)(config), weight.stages(entry.second_alone))),
        None => Err(LossError::Kind { kind: name.into(), known: kinds().join(", ") }),
    }
}
