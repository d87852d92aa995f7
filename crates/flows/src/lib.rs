//! Normalizing flows: bijections and chains of them, forward and inverse with log-determinants.
