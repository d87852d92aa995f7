//! Readers of anomaly detection data sets, image transforms, and a procedural synthetic set.
