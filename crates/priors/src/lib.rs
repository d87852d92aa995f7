//! Densities on the latent space: single Gaussian, Gaussian mixture, hierarchical Gaussian mixture.
