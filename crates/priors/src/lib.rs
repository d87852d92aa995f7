//! Densities on the latent space of a flow.
//!
//! A [`Prior`] gives log-densities of latent vectors with and without their class, and the class
//! logits where it has classes. Shipped: [`SingleGaussian`] (one centre for everything),
//! [`GaussianMixture`] (one centre a class) and [`HierarchicalMixture`] (several centres a class,
//! HGAD's), all with unit covariance; [`build`] makes one by name.
//!
//! Log-densities leave out the constant `-D/2 ln 2 pi`, as the loss of the paper does; scores add
//! it where the paper's scores have it.
//!
//! Invariant: this crate knows nothing of flows, losses or images.

mod error;
mod hierarchical;
mod mixture;
mod prior;
mod registry;
mod single;

pub use error::PriorError;
pub use hierarchical::HierarchicalMixture;
pub use mixture::{GaussianMixture, starting_centers};
pub use prior::{Prior, log_softmax};
pub use registry::{PriorConfig, build, kinds};
pub use single::SingleGaussian;
