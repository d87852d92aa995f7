//! Fused operations for the hot paths of hgad.
//!
//! Three families. The operations of a flow ([`linear()`], [`affine_coupling()`],
//! [`coupling_log_det()`], [`rotate()`], [`spline()`]) are candle custom ops with gradients; [`StackWorkspace`]
//! runs a whole stack of them tile by tile, which is how a flow is trained on the CPU. So are those
//! of a prior and its losses ([`gaussian_logits()`], [`nearest_logit()`], [`mixture_log_density()`],
//! [`affine_log_sum_exp()`], [`log_sum_exp()`],
//! [`cross_entropy()`], [`softmax_entropy()`]). The operations of a frozen feature extractor
//! ([`Conv2d`], [`max_pool`], [`squeeze_excite`], [`resize_bilinear`]; [`attention()`] and
//! [`layer_norm()`] of a transformer) have none and work on channels-last tensors `(B, H, W, C)`.
//!
//! Each has two paths: a fused one for `f32` on the CPU, vectorised for what the processor has
//! (see [`isa_name`]) and split over rayon's threads, and a composition of candle's own
//! operations for every other type and device. The same number of threads gives the same bytes.
//! With the feature `cuda` or `metal` the coupling, the mixture, logits and their reductions, and
//! [`depthwise_conv2d()`] have kernels with gradients for `f32` on such a device too; with `cuda` a whole stack
//! of couplings is trained there (`DeviceStack`), and [`adam_step_on_device()`] moves its parameters.
//!
//! Invariant: this crate knows no model.

mod activation;
mod adam;
mod affine_mixture;
mod attention;
mod conv;
mod coupling;
mod coupling_stack;
mod depthwise;
mod depthwise_op;
#[cfg(any(test, feature = "cuda", feature = "metal"))]
mod device;
mod device_memory;
#[cfg(feature = "cuda")]
mod device_stack;
mod device_stream;
mod fill;
mod frozen_stack;
mod im2col;
mod inverted_residual;
mod isa;
mod layer_norm;
mod layer_sums;
mod line_rows;
mod linear;
mod log_sigmoid;
mod log_softmax;
mod math;
mod matrix;
mod mixture;
mod nearest;
mod nonzeros;
mod packed;
mod pool;
mod position_bias;
mod product;
mod rectified;
mod register_block;
mod resize;
mod rotate;
mod row;
mod separable;
mod simd;
mod softmax;
mod sparse_product;
mod spline;
mod squeeze_excite;
mod stack_gradients;
mod stack_workspace;
mod storage;
#[cfg(target_arch = "x86_64")]
mod tile_digits;
#[cfg(target_arch = "x86_64")]
mod tile_product;
#[cfg(target_arch = "x86_64")]
mod tiles;
mod whitening;
mod winograd;

pub use activation::Activation;
pub use adam::{AdamConfig, Gradient, adam_step, adam_step_on_device, has_adam};
pub use affine_mixture::affine_log_sum_exp;
pub use attention::attention;
pub use conv::{Conv2d, Conv2dConfig, Padding};
pub use coupling::{affine_coupling, coupling_log_det};
pub use coupling_stack::{BlockWeights, StackSize};
pub use depthwise_op::depthwise_conv2d;
pub use device_memory::{free_device_memory, keep_device_memory};
#[cfg(feature = "cuda")]
pub use device_stack::{DeviceBlock, DeviceStack};
pub use device_stream::with_own_stream;
pub use frozen_stack::FrozenStack;
pub use inverted_residual::InvertedResidual;
pub use isa::{detected_isa_name, has_tiles, isa_name};
pub use layer_norm::layer_norm;
pub use linear::{Rectifier, linear};
pub use log_sigmoid::neg_log_sigmoid;
pub use log_softmax::log_softmax;
pub use mixture::{gaussian_logits, mixture_log_density};
pub use nearest::nearest_logit;
pub use pool::{global_mean, max_pool};
pub use position_bias::PositionCode;
pub use resize::{resize_bilinear, resize_bilinear_plane};
pub use rotate::rotate;
pub use separable::{ComplexTaps, complex_filter};
pub use softmax::{cross_entropy, log_sum_exp, softmax_entropy};
pub use spline::{SplineShape, spline};
pub use squeeze_excite::{SqueezeExcite, squeeze_excite};
pub use stack_gradients::StackGradients;
pub use stack_workspace::StackWorkspace;
pub use storage::with_slices;
pub use whitening::Whitening;
