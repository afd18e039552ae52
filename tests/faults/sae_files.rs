//! SAE files, what travels with an SAE, and evaluation.
