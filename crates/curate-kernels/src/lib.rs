//! Similarity kernels with the reduction fused in, so that the `n x k` matrix of similarities never
//! exists: nearest centroids, the best few, the most similar earlier row.
//!
//! - [`Centroids::nearest`]: for each row the best of `k` centroids (k-means assignment).
//! - [`Tracker`]: the same for centroids that move between passes, where bounds leave most rows
//!   nothing to do (k-means iterations).
//! - [`Centroids::top`]: for each row the best few.
//! - [`max_earlier`]: for each row its most similar earlier row (semantic deduplication);
//!   [`survivors`]: the same among rows that are kept.
//! - [`FixedPoint`], [`ExactSum`]: sums of rows and of numbers that do not depend on the order.
//! - [`Matrix`]: many rows times one packed matrix, the linear layers of a network, with bias,
//!   residual or GELU fused in; [`Int8Matrix`], [`Bf16Matrix`]: the same in 8-bit integers and in bfloat16;
//!   [`Attention`], [`layer_norm`]: what lies between them.
//! - [`train`]: what a step of training asks: linear layers, LayerNorm, attention, GELU and a contrastive loss,
//!   forward and backward.
//! - [`Ruled`]: how many pairs each bound ruled out.
//! - [`Engine`]: what a device has to do to search in place of [`Centroids`].
//! - [`weighted_bytes`]: sums of rows of bytes in fixed point, for resampling images; [`rgb_of_ycc`]: their
//!   colors.
//! - [`inner_products`]: the plain matrix, for small problems and as building block.
//!
//! ```
//! use curate_kernels::Centroids;
//!
//! let centroids = Centroids::new(&[1.0, 0.0, 0.0, 1.0], 2, None);
//! let mut nearest = [Default::default(); 2];
//! centroids.nearest(&[0.6, 0.8, 1.0, 0.0], &mut nearest);
//! assert_eq!((nearest[0].index, nearest[0].value), (1, 0.8));
//! assert_eq!(nearest[1].index, 0);
//! ```
//!
//! # The searches
//! $$ \mathrm{nearest}(x) = \mathrm{argmax}_j \left( \langle x, c_j \rangle + b_j \right) \qquad
//! \mathrm{earlier}(x_i) = \max \left( 0, \max_{j < i} \langle x_i, x_j \rangle \right) $$
//!
//! With $b_j = -|c_j|^2 / 2$ the nearest centroid is the one at the smallest Euclidean distance.
//!
//! # Optimization
//! Without it the kernels are two orders of magnitude slower, and a debug build of a program leaves its
//! dependencies without it: one that clusters, deduplicates and prunes takes 12 seconds instead of 0.4.
//! Put this into your program's `Cargo.toml`:
//!
//! ```toml
//! [profile.dev.package."*"]
//! opt-level = 3
//! ```
//!
//! # The same bytes everywhere
//! Every inner product is one chain of fused multiply-adds in element order, with one accumulator.
//! Its bytes depend neither on the neighbors of the row in its block, nor on the number of
//! threads, nor on the instruction set: AVX-512, AVX2, NEON and the portable path (where a fused
//! multiply-add is a function call) compute the same chain, many of them side by side. A row that
//! occurs twice gets the same answer twice.
//!
//! | | BLAS and a search over its matrix | faiss `IndexFlatIP` | this crate |
//! |---|---|---|---|
//! | memory beside rows and centroids | `4 n k` bytes, or blocks of it | blocks | one tile of 12 x 32 |
//! | order of additions | depends on shapes, threads and processor | as its BLAS | that of the elements, always |
//! | arithmetic | f32 | f32 | f32; 8-bit integers for a first look where the processor has them |
//! | ties | as found | as found | the lowest index |
//!
//! # Low precision first, exact after
//! On processors with `avx512_vnni` the searches look at 8-bit integers first, four times as many a
//! cycle as f32, with a bound on the error of every row that is measured, not assumed. What the
//! bound cannot rule out, usually one or two vectors of thousands, is computed again as an f32 chain.
//! So the answer is that of the f32 search to the bit, on every machine.
//!
//! # A few numbers first, exact after
//! Real vectors vary along few axes. [`Tracker`] and [`Centroids::prepare`] turn vectors so that the first
//! eighth or so of their numbers, the head, holds most of their length; the product of the rest is at
//! most that of the two lengths left out (Cauchy and Schwarz). Which axes these are and how long a head is
//! is chosen by what some rows would cost, and where spectra are flat there are no heads. Heads are
//! multiplied as integers where there are any and in f32 elsewhere; what they leave open is decided as
//! above, so the answer is the same to the bit. [`Ruled`] counts what ruled out what.
//!
//! # Cost
//! `2 n k d` operations for [`Centroids::nearest`], half of `2 m^2 d` for [`max_earlier`]; the working
//! set is one panel of 32 vectors and one block of rows. Packed centroids take `4 k d` bytes more, a
//! quarter of that as integers.
//!
//! # When not to use it
//! - For approximate search among many millions of vectors: an index (HNSW, IVF) looks at a small part of
//!   them.
//! - For vectors of a few dimensions: a k-d tree does, and packing costs as much as it saves.
//! - Where a GPU is at hand and bytes may differ from run to run: its matrix product is faster; implement
//!   [`Engine`] to let k-means use it.
//!
//! Functions that take slices check their lengths and panic when these do not fit each other, as slices
//! themselves do; each says so. Values are never a reason to panic: a NaN finds nothing.
//!
//! # References
//! - G. Hamerly, "Making k-means even faster", SDM 2010: the bounds of [`Tracker`].
//! - A. Abbas et al., "SemDeDup", [arXiv 2303.09540](https://arxiv.org/abs/2303.09540): what
//!   [`max_earlier`] and [`survivors`] compute.
//! - J. Johnson, M. Douze, H. Jégou, "Billion-scale similarity search with GPUs",
//!   [arXiv 1702.08734](https://arxiv.org/abs/1702.08734): fusing the selection into the product.
//! - "SuperKMeans", [arXiv 2603.20009](https://arxiv.org/abs/2603.20009): partial
//!   products with a probabilistic bound, where this crate's is exact.
//! - U. Kulisch, "Computer Arithmetic and Validity", 2008: exact accumulation, as in [`ExactSum`].

mod attention;
mod axes;
mod bf16;
mod bytes;
mod dispatch;
mod dots;
mod dup;
mod elementwise;
mod engine;
mod exact;
mod fixed;
mod found;
mod heads;
mod int8;
mod integer;
mod kept;
mod lanes;
mod look;
mod moved;
mod nearest;
#[cfg(test)]
mod numbers;
mod packed;
mod panels;
mod partial;
mod plan;
mod products;
mod quant;
pub mod reference;
mod ruled;
mod tile;
mod top;
mod track;
mod tracker;
pub mod train;
mod vnni;

/// The squared length of a vector, in f32 and in sixteen sums side by side: within a millionth of what
/// it is, unless it overflows. To see whether a length is about what it should be; an answer that has
/// to be exact needs f64. Runs on the calling thread.
pub fn square(vector: &[f32]) -> f32 {
    lanes::square(instructions(), vector)
}

pub use attention::Attention;
pub use bf16::Bf16Matrix;
pub use bytes::{rgb_of_ycc, weighted_bytes};
pub use dispatch::{Instructions, instructions};
pub use dup::{Earlier, max_earlier, survivors};
pub use elementwise::{layer_norm, normalize};
pub use engine::{Engine, EngineError, LoadedCentroids};
pub use exact::ExactSum;
pub use fixed::{FixedPoint, largest};
pub use found::Nearest;
pub use int8::Int8Matrix;
pub use nearest::{Centroids, inner_products};
pub use products::{Matrix, Then};
pub use ruled::Ruled;
pub use tracker::Tracker;
