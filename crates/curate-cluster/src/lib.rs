//! Exact, deterministic k-means over an [`EmbeddingSource`]: spherical and Euclidean.
//!
//! Rows are read in blocks and never held together: what is held is the centroids, their sums, one block,
//! and a few numbers a row. The result does not depend on the number of threads, the instruction set or
//! the order of rows.
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
//! assert!((clustering.inertia() - 0.205).abs() < 1e-3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The method
//! k-means looks for centroids $c_1, \dots, c_k$ that make the mean distance of rows to their nearest
//! centroid small:
//!
//! $$ J = \frac{1}{n} \sum_{i=1}^{n} \min_j d(x_i, c_j), \qquad d(x, c) = 1 - \langle x, c \rangle
//! \quad \mathrm{or} \quad |x - c|^2 $$
//!
//! Lloyd's iterations: every row goes to its nearest centroid (ties to the lowest index), every centroid
//! becomes the mean of its rows, scaled to length 1 when [`Metric::Spherical`]. Spherical rows must have
//! length 1 (within `curate_core::fault::UNIT_TOLERANCE`); others are refused with the row and its length.
//! [`Metric`] is the one home of distances.
//!
//! Similarities are f32. **Sums are in fixed point** ([`CentroidSums`]): every number of a row is rounded
//! once, to `2^-40` for unit rows and to about `2^-40` of the largest number of all rows otherwise, and
//! what is added are integers. So parts of a pool, in any order, split and retry, add up to the same
//! bytes, and a row that changes its cluster is taken off the one and added to the other without a trace.
//! Objectives and inertia are exact sums of f32 distances.
//!
//! An **empty cluster** takes the row that fits its own centroid worst (ties to the smaller id), as
//! long as that row leaves no other cluster empty; several empty clusters take several rows. This
//! is counted in [`Clustering::reseeded`].
//!
//! | | faiss `Kmeans` | this crate |
//! |---|---|---|
//! | training rows | a random 256 a centroid, silently | all, or [`KMeansParams::train_rows_per_cluster`]; 256 with [`KMeansParams::faiss`] |
//! | initialization | random rows | random rows or k-means++ |
//! | empty cluster | splits a large one | takes the worst-fitting row, or [`EmptyClusters::Split`] |
//! | iterations | 25, no tolerance | at most 50, until the objective stalls; 25 with [`KMeansParams::faiss`] |
//! | rows that are not of length 1, spherical | clustered | refused |
//! | equal rows | may get different scores | always the same score and cluster |
//! | repeatable | for one build and thread count | on every machine and thread count, and from a random start for every order of rows |
//!
//! # Cost
//! `2 n k d` floating-point operations for the first iteration and less for each that follows: of every
//! row its centroid and a bound on all others are kept (12 bytes), so a row looks again only at
//! centroids that moved far enough to pass its own. Where the processor has `avx512_vnni`, that
//! look is at 8-bit integers first, with a bound on what they lose (`curate-kernels`). Where rows vary
//! along few axes, as embeddings do, the first look is at an eighth or so of their numbers, and the
//! lengths of what these leave out bound the rest exactly. All that leaves every byte as it is, and
//! [`Clustering::ruled`] says how many pairs of a row and a centroid each bound ruled out. Memory is 20
//! bytes for each number of a centroid, 20 for each row (28 when Euclidean), a block of 8,192 vectors,
//! and at most 256 MiB for rows in 8 bits. [`KMeans::cost`] says that in numbers beforehand.
//!
//! [`Init::Levels`] starts from a clustering by levels, in which a row meets about $2 \sqrt{k}$ centroids a
//! pass instead of $k$. With [`KMeansParams::iterations`] of 0 its centroids stay as they are, and the only
//! look at all pairs is the last assignment: for many clusters the quickest way to good ones. How many
//! iterations from random rows it is worth depends on the rows: few where they lie in more groups than
//! there are clusters. It holds up to 32,768 vectors a thread.
//!
//! With [`KMeansParams::batch_rows`] the centroids move after every batch (Sculley 2010), which needs
//! fewer passes over a large pool and ends at a somewhat larger inertia.
//!
//! A debug build leaves dependencies without optimization, and k-means without it takes thirty times as
//! long. Put this into your program's `Cargo.toml`:
//!
//! ```toml
//! [profile.dev.package."*"]
//! opt-level = 3
//! ```
//!
//! # Engines
//! [`KMeans::fit_on`] and [`assign_on`] search nearest centroids on an [`Engine`], a GPU for example
//! (`curate-device` has them), and everything else on the host. An engine answers with indices only;
//! values are computed here in f64 and rounded once. So results differ from those of the native
//! kernels where two centroids are equally near but for rounding, and in the last bits of nearness.
//!
//! # Features
//! `linfa` adds the module `alternative`: DBSCAN and Gaussian mixtures, for thousands of rows in
//! memory. `schema` derives JSON Schemas of the parameters. Centroids are written and read by
//! `curate_io::centroids`.
//!
//! # When not to use it
//! - For tens of thousands of clusters over hundreds of millions of rows, cluster in levels:
//!   [`HierarchyParams`] clusters the centroids again and draws samples that cover rare concepts
//!   evenly (arXiv 2405.15613).
//! - For clusters that are not round, or whose number is not known: density-based clustering
//!   (feature `linfa`), as far as its memory goes.
//! - For a few thousand rows of a few dimensions any k-means will do.
//!
//! # References
//! - "SuperKMeans", [arXiv 2603.20009](https://arxiv.org/abs/2603.20009): pruning
//!   by partial products, with a probabilistic test where this crate's bound is exact.
//! - S. Lloyd, "Least squares quantization in PCM", 1982; G. Hamerly, "Making k-means even faster",
//!   SDM 2010; D. Sculley, "Web-scale k-means clustering", WWW 2010; D. Arthur and S. Vassilvitskii,
//!   "k-means++", SODA 2007.
//! - J. Johnson, M. Douze, H. Jégou, "Billion-scale similarity search with GPUs" (faiss),
//!   [arXiv 1702.08734](https://arxiv.org/abs/1702.08734).
//! - A. Abbas et al., "SemDeDup", [arXiv 2303.09540](https://arxiv.org/abs/2303.09540), and A. Abbas et
//!   al., "Effective pruning of web-scale datasets based on complexity of concept clusters",
//!   [arXiv 2401.04578](https://arxiv.org/abs/2401.04578): what the clusters are for.
//! - H. Vo et al., "Automatic data curation for self-supervised learning",
//!   [arXiv 2405.15613](https://arxiv.org/abs/2405.15613): hierarchies and samples from them.

#[cfg(feature = "linfa")]
pub mod alternative;
mod assignment;
mod clusters;
mod cost;
mod empty;
mod engine;
mod error;
mod facts;
mod fit;
mod hierarchy;
mod init;
mod levels;
mod lloyd;
mod metric;
mod minibatch;
#[cfg(test)]
mod mixture;
mod order;
mod params;
mod parts;
mod result;
mod search;
mod start;
mod sums;
mod task;
mod trained;

pub use assignment::Assignment;
pub use clusters::Clusters;
pub use cost::Cost;
pub use curate_core::EmbeddingSource;
pub use curate_kernels::{Engine, EngineError, LoadedCentroids, Ruled};
pub use error::ClusterError;
pub use hierarchy::{Choice, HierarchicalKMeans, Hierarchy, HierarchyParams, Level};
pub use metric::Metric;
pub use order::{Ordered, Preference};
pub use params::{EmptyClusters, Init, KMeans, KMeansParams};
pub use parts::{PartMemory, PartPass, Training};
pub use result::{Clustering, assign, assign_on};
pub use sums::CentroidSums;
