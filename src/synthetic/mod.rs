//! Data with known true features, and how well a dictionary recovers them.
//!
//! The toy is that of Sharkey, Braun and Millidge (2022): random directions, few active at a time, of uniform strength; with features
//! that fire together (a Gaussian copula of low rank) or one within another (trees), as in SynthSAEBench (Chanin and Garriga-Alonso 2026,
//! arXiv 2602.14687).

mod options;
mod recovery;
mod superposition;

pub use options::SuperpositionOptions;
pub use recovery::{Recovery, recovery};
pub use superposition::Superposition;
