//! Normalizing flows: bijections and chains of them, each with log-determinants both ways.
//!
//! A [`Bijection`] maps vectors (N, D) one to one; [`Chain`] composes several. The condition is a
//! code of the position, the same for every image: (P, K) with P a divisor of N, and row `n` of
//! the vectors is at position `n mod P`.
//!
//! [`coupling_chain`] makes the flow of the paper. Another bijection is another file that
//! implements the trait; composition needs no change.
//!
//! Invariant: this crate knows nothing of priors, losses or images.

mod bijection;
mod chain;
mod coupling_block;
mod coupling_chain;
mod error;
mod frozen;
mod position;
mod rotation;
mod trainer;

pub use bijection::Bijection;
pub use chain::Chain;
pub use coupling_block::{CouplingBlock, CouplingConfig};
pub use coupling_chain::{CouplingChain, coupling_chain};
pub use error::FlowError;
pub use frozen::FrozenFlow;
pub use position::position_encoding;
pub use rotation::random_rotation;
pub use trainer::FlowTrainer;
