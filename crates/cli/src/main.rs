//! Unified visual anomaly detection: one model for many products.
fn main() {}
