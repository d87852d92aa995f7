//! The loss terms of HGAD and weighted, staged sums of them.
