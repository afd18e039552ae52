//! Target models: the language models whose activations are read.
