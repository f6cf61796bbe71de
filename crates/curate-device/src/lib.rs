//! burn devices by name, and nearest centroids on them: the CPU, any GPU that WebGPU reaches, CUDA.
//! The device is chosen at run time among those that were compiled in.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use curate_device::{Centroids, DeviceName};
//!
//! let device: DeviceName = "cpu".parse()?;
//! let centroids = Centroids::new(&device.open()?, &[1.0, 0.0, 0.0, 1.0], 2, None)?;
//! let nearest = centroids.nearest(&[0.6, 0.8, 1.0, 0.0])?;
//! assert_eq!(nearest.iter().map(|n| n.index).collect::<Vec<_>>(), [1, 0]);
//! # }
//! # Ok::<(), curate_device::DeviceError>(())
//! ```
//!
//! [`DeviceName::engine`] gives k-means in `curate-cluster` a device to search on.
//!
//! # Agreement
//! A device adds up an inner product in an order of its own. For rows and centroids of length 1 its
//! values agree with those of `curate-kernels` within [`TOLERANCE`], and its index is the same
//! wherever the best centroid leads by more than that. The native kernels are the reference: their
//! bytes are the same everywhere. `curate-conformance` measures the differences on every device.
//!
//! # Features
//! - `flex` (default): burn's CPU backend in pure Rust.
//! - `wgpu`: any GPU with a Vulkan, Metal or DX12 driver.
//! - `cuda`: NVIDIA GPUs.
//!
//! They add up: one program can hold all three. Without any of them the crate holds names and
//! errors only, and builds without burn.
//!
//! # Cost
//! A search of $n$ rows among $k$ centroids of $d$ numbers takes $O(nkd)$ time. The device holds
//! the centroids ($4kd$ bytes) and a block of inner products (64 MiB). Rows are copied to the
//! device in every search, so few centroids leave a GPU waiting for its rows. The first search on a
//! GPU also compiles and tunes its shaders, which takes seconds.
//!
//! # When not to use it
//! - **On a CPU.** The native kernels of `curate-kernels` are faster and give the same bytes on
//!   every machine.
//! - **Where a result has to be repeated on another machine.** Ties within rounding can fall
//!   differently on another device.
//! - **On a software renderer** ([`DeviceName::is_software`]). It is right, and slower than the
//!   CPU.

#[cfg(feature = "flex")]
mod centroids;
mod engine;
mod found;
mod name;

#[cfg(feature = "flex")]
pub use centroids::{Centroids, DeviceEngine};
pub use name::{DeviceError, DeviceName};

/// How far a device's inner product of two vectors of length 1 may lie from the reference.
pub const TOLERANCE: f32 = 1e-5;

#[cfg(all(doctest, feature = "flex"))]
#[doc = include_str!("../README.md")]
struct Readme;
