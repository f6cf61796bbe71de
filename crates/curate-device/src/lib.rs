//! burn devices by name, and similarity search on them: the CPU, any GPU that WebGPU reaches, CUDA.
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
//! k-means runs on a device through [`DeviceName::engine`] and `curate_cluster::KMeans::fit_on`.
//!
//! # Agreement
//! A device adds up an inner product in an order of its own. Its values agree with those of
//! `curate-kernels` within [`TOLERANCE`] for rows and centroids of length 1, and its index is the
//! same wherever the best centroid leads by more than that. The native kernels stay the reference:
//! their bytes are the same everywhere. `curate-conformance` measures it on every device.
//!
//! # Features
//! `flex` (default) is burn's CPU backend in pure Rust, `wgpu` any GPU with a Vulkan, Metal or DX12
//! driver, `cuda` NVIDIA GPUs. They add up: one program can hold all three. Without any of them the
//! crate holds names and errors only and builds without burn.

#[cfg(feature = "flex")]
mod centroids;
mod found;
mod name;

#[cfg(feature = "flex")]
pub use centroids::{Centroids, DeviceEngine};
pub use name::{DeviceError, DeviceName};

/// How far a device's inner product of two vectors of length 1 may lie from the reference.
pub const TOLERANCE: f32 = 1e-5;
