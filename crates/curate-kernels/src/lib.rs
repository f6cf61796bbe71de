//! Blocked similarity kernels with the reduction fused in: nearest centroid, duplicate search
