//! Geometry of a dictionary: nearest neighbors, peaks, hubs, bounds, the random null, packings, spectrum.
//!
//! A dictionary is a matrix of raw rows, one per latent; all quantities are about its unit rows u_i and their cosines c_ij, i != j.
//! Rows that are zero or not finite are listed and left out. What is undefined (a mean of no pairs) is `None`.

mod bounds;
mod histogram;
mod hubs;
mod interval;
mod isj;
mod kde;
mod ladder;
mod maxima;
mod neighbors;
mod null;
mod packing;
mod peaks;
mod summary;

pub use bounds::{levenshtein_bound, welch_bound};
pub use histogram::{Histogram, HistogramOptions, histogram};
pub use hubs::{Hubs, HubsOptions, Verdict, hubs};
pub use neighbors::{Neighbors, nearest_neighbors};
pub use null::{RandomNull, random_null, random_null_log10_cdf};
pub use packing::{Objective, Packing, PackingOptions, PackingStep, packing};
pub use peaks::{Peak, PeakOptions, peaks, peaks_of_values};
pub use summary::{Summary, feature_dimensionality, spectrum, summary};
