//! Fused operations for the hot paths of hgad.
//!
//! Two families. The operations of a flow ([`linear()`], [`affine_coupling()`],
//! [`coupling_log_det()`], [`rotate()`]) are candle custom ops with gradients. The operations
//! of a frozen feature extractor ([`Conv2d`], [`max_pool`], [`squeeze_excite`],
//! [`resize_bilinear`]) have none and work on channels-last tensors `(B, H, W, C)`.
//!
//! Each has two paths: a fused one for `f32` on the CPU, vectorised for what the processor has
//! (see [`isa_name`]) and split over rayon's threads, and a composition of candle's own
//! operations for every other type and device. Work is split by shape alone, so results do
//! not depend on the number of threads.
//!
//! Invariant: this crate knows no model.

mod activation;
mod adam;
mod conv;
mod coupling;
mod depthwise;
mod fill;
mod im2col;
mod isa;
mod linear;
mod math;
mod pool;
mod product;
mod resize;
mod rotate;
mod separable;
mod squeeze_excite;
mod storage;

pub use activation::Activation;
pub use adam::{AdamConfig, adam_step};
pub use conv::{Conv2d, Conv2dConfig, Padding};
pub use coupling::{affine_coupling, coupling_log_det};
pub use isa::isa_name;
pub use linear::{Rectifier, linear};
pub use pool::{global_mean, max_pool};
pub use resize::{resize_bilinear, resize_bilinear_plane};
pub use rotate::rotate;
pub use separable::{ComplexTaps, complex_filter};
pub use squeeze_excite::{SqueezeExcite, squeeze_excite};
