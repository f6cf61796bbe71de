//! Exact, deterministic k-means over embedding sources: spherical and Euclidean
