//! The loss terms of HGAD (Yao et al., ECCV 2024) and their weighted, staged sum.
//!
//! A [`LossTerm`] is a mean over vectors of one feature level; [`StagedLoss`] weighs several and
//! says how much each counts in each stage of
//! training. With `l_k = -½ |z - mu_k|²` and `p = softmax(phi_inter)`:
//!
//! | term | formula |
//! |---|---|
//! | [`InterClass`] | `(-logsumexp_k(l_k + ln p_k) - ln det J) / D` |
//! | [`MutualInformation`] | `sum_k t_k (log_softmax_k(l + ln p) - ln p_k)` |
//! | [`Entropy`] | `-sum_k softmax_k(l) log_softmax_k(l)` |
//! | [`IntraClass`] | `(-ln p(z given y) - ln det J) / D` |
//! | [`Likelihood`] | `-logsigmoid((D G + ln p(z given y) + ln det J) / D)`, `G = -½ ln 2π` |
//!
//! Invariant: a term sees latents through a prior, and knows no flow.

mod entropy;
mod error;
mod inter_class;
mod intra_class;
mod latents;
mod likelihood;
mod mutual_information;
mod registry;
mod staged;
mod term;

pub use entropy::Entropy;
pub use error::LossError;
pub use inter_class::InterClass;
pub use intra_class::IntraClass;
pub use latents::Latents;
pub use likelihood::Likelihood;
pub use mutual_information::MutualInformation;
pub use registry::{LossConfig, Stages, TermEntry, Weight, kinds, register};
pub use staged::{StagedLoss, Value};
pub use term::{LossTerm, Needs};
