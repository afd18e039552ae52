//! Sparse autoencoders: one file per architecture, the training loop, evaluation, formats.
