//! Geometry: peaks, hubs, limits of counts and widths, and stopping native work.
