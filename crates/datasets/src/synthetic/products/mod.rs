//! One file a product.

pub(crate) mod board;
pub(crate) mod capsule;
pub(crate) mod fabric;
pub(crate) mod gear;
pub(crate) mod leather;
pub(crate) mod wood;
