//! Frozen feature extractors and the image pyramid of hgad.
