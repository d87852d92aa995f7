//! From latents to anomaly maps and image scores.
