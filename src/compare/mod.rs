//! One dictionary against another, one run against another, one target model against another.
//!
//! Cosines between dictionaries mean something where both are written in the same basis: SAEs of the same activations. Across target
//! models align first ([`procrustes`]), or compare what does not depend on the basis ([`cka`], [`activation_matching`],
//! [`wasserstein`] of nearest-neighbor cosines). Two random dictionaries match too: at (8192, 512) each row's best cosine is 0.167 on
//! average and that of the best one-to-one matching 0.162, so numbers are to be read against that.
//!
//! Rows that are zero or not finite are left out and counted. What is undefined (a mean of nothing) is `None`.

mod activations;
mod alignment;
mod distributions;
mod matching;
mod shared;

pub use activations::activation_matching;
pub use alignment::{AlignOptions, Procrustes, cka, procrustes};
pub use distributions::{ks, wasserstein};
pub use matching::{Match, Matching, Sides, matching, mmcs};
pub use shared::{SharedLatents, SharedOptions, Weights, shared_latents};

pub(crate) use matching::{mean, same_width, share_above};
