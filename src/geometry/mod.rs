//! Geometry of a dictionary: nearest neighbors, peaks, hubs, bounds, the random null.
