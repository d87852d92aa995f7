//! One file a layout; the list is in [`crate::LAYOUTS`].

pub(crate) mod btad;
pub(crate) mod mvtec;
pub(crate) mod mvtec3d;
pub(crate) mod union;
pub(crate) mod visa;
