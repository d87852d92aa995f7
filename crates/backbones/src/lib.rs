//! Frozen feature extractors and the image pyramid.
//!
//! A [`Backbone`] maps images to feature maps at some strides; [`build`] makes one by name, with
//! timm's names and weights, and [`extract_pyramid`] runs it on an image at several sizes.
//! Everything is channels-last, (B, H, W, C): the fused kernels are, and a feature vector is a
//! run of memory. No gradients: backbones are frozen, batch norm is folded into convolutions.
//!
//! Invariant: this crate knows nothing of flows, priors or data sets.

mod backbone;
mod convolution;
mod efficientnet;
mod error;
mod fingerprint;
mod hub;
mod kept;
mod mobilenet;
mod morlet;
mod patches;
mod plane;
mod position_embedding;
mod pyramid;
mod registry;
mod resnet;
mod scattering;
mod stages;
mod transformer;
mod weights;

pub use backbone::{Backbone, Level, Normalization};
pub use error::{BackboneError, WeightMismatch};
pub use hub::hub_cache;
pub use kept::KeptWeights;
pub use patches::Patches;
pub use pyramid::{extract_pyramid, map_sizes};
pub use registry::{
    BackboneSpec, Constructor, build, build_from, build_with, cached_weights, keep_weights, known,
    register,
};
pub use scattering::Scattering;
pub use weights::{WeightSource, WeightsFile};
