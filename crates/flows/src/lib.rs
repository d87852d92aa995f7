//! Normalizing flows: bijections and chains of them, each with log-determinants both ways.
//!
//! A [`Bijection`] maps vectors (N, D) one to one; [`Chain`] composes several. The condition is a
//! code of the position, the same for every image: (P, K) with P a divisor of N, and row `n` of
//! the vectors is at position `n mod P`.
//!
//! [`build`] makes a flow by its name in the registry:
//!
//! | kind | a block is | permutation by itself |
//! |---|---|---|
//! | `coupling` | affine coupling, global affine map: the paper's ([`coupling_chain`]) | soft |
//! | `nice` | additive coupling; a scaling at the end ([`nice()`]) | hard |
//! | `realnvp` | affine coupling ([`realnvp()`]) | hard |
//! | `glow` | actnorm, permutation, affine coupling ([`glow()`]) | lu |
//! | `spline` | actnorm, permutation, coupling by rational-quadratic splines ([`spline_flow()`]) | lu |
//! | `fastflow` | affine coupling by convolutions over whole maps, global affine map ([`fastflow()`]) | hard |
//! | `identity` | none: latents are features ([`Identity`]) | |
//!
//! A [`Permutation`] is a fixed rotation (`soft`), a fixed permutation (`hard`), learned reflections
//! (`householder`) or any invertible matrix (`lu`); each kind takes each. Another bijection is
//! another file that implements the trait, and a kind is a line in `registry.rs`, or a call of
//! [`register`] from another crate; composition needs no change.
//!
//! Invariant: this crate knows nothing of priors, losses or images.

mod actnorm;
mod additive_coupling;
mod affine_coupling;
mod bijection;
mod chain;
mod check;
mod conv_subnet;
mod coupling_block;
mod coupling_chain;
#[cfg(feature = "cuda")]
mod device_trainer;
mod error;
mod fastflow;
mod frozen;
mod glow;
mod householder;
mod identity;
mod lu_factors;
mod lu_linear;
mod nice;
mod permutation;
mod position;
mod realnvp;
mod registry;
mod rotation;
mod scaling;
mod spline;
mod spline_coupling;
mod spline_flow;
mod stack_trainer;
mod subnet;
mod trainer;

pub use actnorm::{ACTNORM_STARTS, ActNorm, ActNormStart};
pub use additive_coupling::AdditiveCoupling;
pub use affine_coupling::AffineCoupling;
pub use bijection::Bijection;
pub use chain::Chain;
pub use conv_subnet::ConvSubnet;
pub use coupling_block::{CouplingBlock, CouplingConfig};
pub use coupling_chain::{CouplingChain, coupling_chain};
pub use error::FlowError;
pub use fastflow::fastflow;
pub use frozen::FrozenFlow;
pub use glow::glow;
pub use householder::Householder;
pub use identity::Identity;
pub use lu_linear::LuLinear;
pub use nice::nice;
pub use permutation::{Mixing, PERMUTATIONS, Permutation};
pub use position::position_encoding;
pub use realnvp::realnvp;
pub use registry::{Constructor, FlowConfig, build, kinds, register};
pub use rotation::{Rotation, random_rotation};
pub use scaling::Scaling;
pub use spline::Spline;
pub use spline_coupling::SplineCoupling;
pub use spline_flow::spline_flow;
pub use subnet::{DenseSubnet, LastLayer, Subnet, SubnetSize};
pub use trainer::{FeatureMaps, FlowTrainer};
