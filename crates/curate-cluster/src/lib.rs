//! Exact, deterministic k-means over an [`EmbeddingSource`]: spherical and Euclidean.
//!
//! Rows are read in blocks and never held together, so the memory used is the centroids, their
//! sums and one block, whatever the size of the pool.
//!
//! ```
//! use curate_cluster::KMeansParams;
//! use curate_core::{NoProgress, SampleId};
//! use ndarray::array;
//!
//! let rows = array![[1.0, 0.0], [0.8, 0.6], [0.0, 1.0], [-0.6, 0.8]];
//! let ids: Vec<SampleId> = (0..4).map(SampleId).collect();
//! let kmeans = KMeansParams::new(2).seed(1).check()?;
//! let clustering = kmeans.fit(&rows.view(), &ids, &NoProgress)?;
//! assert_eq!(clustering.sizes(), [2, 2]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The method
//! Lloyd's iterations: every row goes to its nearest centroid (largest inner product, or smallest
//! Euclidean distance; ties to the lowest index), every centroid becomes the mean of its rows,
//! scaled to length 1 when [`Metric::Spherical`]. Similarities are f32; sums are f64 and run in row
//! order for each cluster, so the bytes of the result do not depend on the number of threads.
//!
//! An **empty cluster** takes the row that fits its own centroid worst (ties to the smaller id), as
//! long as that row leaves no other cluster empty; several empty clusters take several rows. This
//! is counted in [`Clustering::reseeded`].
//!
//! | | faiss `Kmeans` | this crate |
//! |---|---|---|
//! | training rows | a random 256 a centroid, silently | all, or [`KMeansParams::train_rows_per_cluster`]; 256 with [`KMeansParams::faiss`] |
//! | initialisation | random rows | random rows or k-means++ |
//! | empty cluster | splits a large one | takes the worst-fitting row, or [`EmptyClusters::Split`] |
//! | iterations | 25, no tolerance | at most 100, until the objective stalls; 25 with [`KMeansParams::faiss`] |
//! | equal rows | may get different scores | always the same score and cluster |
//! | repeatable | for one build and thread count | on every machine and thread count |
//!
//! # Cost
//! `2 * n * k * d` floating-point operations for the first iteration and less for each that follows:
//! of every row its centroid and a bound on all others are kept (12 bytes), so a row looks again only
//! at centroids that moved far enough to pass its own. Where the processor has `avx512_vnni`, that
//! look is at 8-bit integers first, with a bound on what they lose (`curate-kernels`). Both leave
//! every byte as it is.
//!
//! With [`KMeansParams::batch_rows`] the centroids move after every batch (Sculley 2010), which needs
//! fewer passes over a large pool and ends at a somewhat larger inertia.
//!
//! # Engines
//! [`KMeans::fit_on`] and [`assign_on`] search nearest centroids on an [`Engine`], a GPU for example
//! (`curate-device` has them), and everything else on the host. An engine answers with indices only;
//! values are computed here in f64 and rounded once. So results differ from those of the native
//! kernels where two centroids are equally near but for rounding, and in the last bits of nearness.
//!
//! # Features
//! `linfa` adds the module `alternative`: DBSCAN and Gaussian mixtures, for thousands of rows in
//! memory. Centroids are written and read by `curate_io::centroids`.
//!
//! # When not to use it
//! For tens of thousands of clusters over hundreds of millions of rows, cluster in levels:
//! [`HierarchyParams`] clusters the centroids again and draws samples that cover rare concepts
//! evenly (arXiv 2405.15613).

#[cfg(feature = "linfa")]
pub mod alternative;
mod clusters;
mod empty;
mod engine;
mod error;
mod facts;
mod fit;
mod hierarchy;
mod init;
mod lloyd;
mod metric;
mod minibatch;
#[cfg(test)]
mod mixture;
mod order;
mod params;
mod result;
mod search;
mod sums;
mod task;

pub use clusters::Clusters;
pub use curate_core::EmbeddingSource;
pub use curate_kernels::{Engine, EngineError, LoadedCentroids};
pub use error::ClusterError;
pub use hierarchy::{Choice, HierarchicalKMeans, Hierarchy, HierarchyParams, Level};
pub use metric::Metric;
pub use order::{Ordered, Preference};
pub use params::{Cost, EmptyClusters, Init, KMeans, KMeansParams};
pub use result::{Assignment, Clustering, assign, assign_on};
pub use sums::CentroidSums;
