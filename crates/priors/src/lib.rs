//! Densities on the latent space of a flow.
//!
//! A [`Prior`] gives log-densities of latent vectors with and without their class, and the class
//! logits where it has classes. Shipped: [`SingleGaussian`] (one centre for everything),
//! [`GaussianMixture`] (one centre a class) and [`HierarchicalMixture`] (several centres a class,
//! HGAD's), with unit, learned diagonal or full covariances, and [`Memory`] (PatchCore's, a baseline
//! that has no density), which may also stand beside any of them ([`Remembering`]); [`build`] makes one by
//! name, and [`register`] adds one of another crate.
//!
//! Log-densities leave out the constant `-D/2 ln 2 pi`, as the loss of the paper does; scores add
//! it where the paper's scores have it.
//!
//! Invariant: this crate knows nothing of flows, losses or images.

mod class_whitening;
mod coreset;
mod covariance;
mod error;
mod hierarchical;
mod k_means;
mod memory;
mod mixture;
mod prior;
mod registry;
mod remembering;
mod single;

pub use covariance::{COVARIANCES, Covariance, Spread};
pub use error::PriorError;
pub use hierarchical::HierarchicalMixture;
pub use memory::Memory;
pub use mixture::{GaussianMixture, Learned, starting_centers};
pub use prior::{Prior, Start};
pub use registry::{Constructor, PriorConfig, build, kinds, register};
pub use remembering::Remembering;
pub use single::SingleGaussian;
