//! Configuration, training, evaluation and run folders of hgad.
