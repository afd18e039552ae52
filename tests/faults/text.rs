//! Corpora, tokenizers, target models and files of activations.
