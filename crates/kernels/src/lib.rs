//! Fused operations for the hot paths of hgad, as candle custom ops with gradients.
