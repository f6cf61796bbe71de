//! Blocked similarity kernels with the reduction fused in, so that the `n x k` matrix of
//! similarities never exists.
//!
//! - [`Centroids::nearest`]: for each row the best of `k` centroids (k-means assignment).
//! - [`Tracker`]: the same for centroids that moved a little, where bounds leave most rows
//!   nothing to do (k-means iterations).
//! - [`Centroids::top`]: for each row the best few.
//! - [`max_earlier`]: for each row its most similar earlier row (semantic deduplication);
//!   [`survivors`]: the same among rows that are kept.
//! - [`FixedPoint`], [`ExactSum`]: sums of rows and of numbers that do not depend on the order.
//! - [`Matrix`]: many rows times one packed matrix, the linear layers of a network, with bias,
//!   residual or GELU fused in; [`Attention`], [`layer_norm`]: what lies between them.
//! - [`Engine`]: what a device has to do to search in place of [`Centroids`].
//! - [`weighted_bytes`]: sums of rows of bytes in fixed point, for resampling images.
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
//! # The same bytes everywhere
//! Every inner product is one chain of fused multiply-adds in element order, with one accumulator.
//! Its bytes depend neither on the neighbours of the row in its block, nor on the number of
//! threads, nor on the instruction set: AVX-512, AVX2, NEON and the portable path (where a fused
//! multiply-add is a function call) compute the same chain, many of them side by side. A row that
//! occurs twice gets the same answer twice.
//!
//! # Low precision first, exact after
//! On processors with `avx512_vnni` the searches look at 8-bit integers first, four times as many a
//! cycle as f32, with a bound on the error of every row that is measured, not assumed. What the
//! bound cannot rule out, usually one or two vectors of thousands, is computed again as an f32 chain.
//! So the answer is that of the f32 search to the bit, on every machine.
//!
//! # Cost
//! `2 * n * k * d` operations for [`Centroids::nearest`], half of `2 * m * m * d` for
//! [`max_earlier`]; the working set is one panel of 32 vectors and one block of rows.

mod attention;
mod bytes;
mod dispatch;
mod dots;
mod dup;
mod elementwise;
mod engine;
mod exact;
mod fixed;
mod integer;
mod lanes;
mod nearest;
#[cfg(test)]
mod numbers;
mod panels;
mod products;
mod quant;
pub mod reference;
mod tile;
mod top;
mod track;
mod vnni;

/// The squared length of a vector, in f32 and in sixteen sums side by side: within a millionth of what
/// it is, unless it overflows. To see whether a length is about what it should be; an answer that has
/// to be exact needs f64. Runs on the calling thread.
pub fn square(vector: &[f32]) -> f32 {
    lanes::square(instructions(), vector)
}

pub use attention::Attention;
pub use bytes::weighted_bytes;
pub use dispatch::{Instructions, instructions};
pub use dup::{Earlier, max_earlier, survivors};
pub use elementwise::{layer_norm, normalize};
pub use engine::{Engine, EngineError, LoadedCentroids};
pub use exact::ExactSum;
pub use fixed::{FixedPoint, largest};
pub use nearest::{Centroids, Nearest, inner_products};
pub use products::{Matrix, Then};
pub use track::Tracker;
