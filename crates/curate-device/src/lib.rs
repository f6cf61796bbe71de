//! Similarity search on burn devices: the CPU, any GPU that WebGPU reaches, CUDA. The device is
//! chosen at run time among those that were compiled in.
//!
//! ```
//! use curate_device::{Centroids, DeviceName};
//!
//! let device: DeviceName = "cpu".parse()?;
//! let centroids = Centroids::new(device, &[1.0, 0.0, 0.0, 1.0], 2)?;
//! let nearest = centroids.nearest(&[0.6, 0.8, 1.0, 0.0])?;
//! assert_eq!(nearest.iter().map(|n| n.index).collect::<Vec<_>>(), [1, 0]);
//! # Ok::<(), curate_device::DeviceError>(())
//! ```
//!
//! # Agreement
//! A device adds up an inner product in an order of its own. Its values agree with those of
//! `curate-kernels` within [`TOLERANCE`] for rows and centroids of length 1, and its index is the
//! same wherever the best centroid leads by more than that. The native kernels stay the reference:
//! their bytes are the same everywhere.
//!
//! # Features
//! `flex` (default) is burn's CPU backend in pure Rust, `wgpu` any GPU with a Vulkan, Metal or DX12
//! driver, `cuda` NVIDIA GPUs. They add up: one program can hold all three.

use std::{fmt, str::FromStr};

use burn::tensor::{Device, Int, Tensor, TensorData};
use curate_kernels::Nearest;

/// How far a device's inner product of two vectors of length 1 may lie from the reference.
pub const TOLERANCE: f32 = 1e-5;

/// A device by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceName {
    /// The CPU.
    #[default]
    Cpu,
    /// The best GPU that WebGPU finds.
    Wgpu,
    /// The CUDA device of this number.
    Cuda(usize),
}

/// A device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// No device has this name.
    #[error("`{0}` is no device: use cpu, wgpu, cuda or cuda:N")]
    Unknown(String),
    /// The device was not compiled in.
    #[error("this program was built without {name}: build it with the feature `{feature}`")]
    NotBuilt {
        /// The device.
        name: DeviceName,
        /// The feature that adds it.
        feature: &'static str,
    },
    /// The numbers do not make whole vectors.
    #[error("{numbers} numbers are no whole number of vectors of {dim}")]
    Shape {
        /// Numbers given.
        numbers: usize,
        /// Numbers of a vector.
        dim: usize,
    },
    /// The device failed.
    #[error("the device failed: {0}")]
    Failed(String),
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "cpu" => Ok(Self::Cpu),
            "wgpu" => Ok(Self::Wgpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|number| number.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| DeviceError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Wgpu => f.write_str("wgpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl DeviceName {
    /// The devices that this program was built with.
    pub fn built() -> Vec<Self> {
        let mut all = Vec::new();
        if cfg!(feature = "flex") {
            all.push(Self::Cpu);
        }
        if cfg!(feature = "wgpu") {
            all.push(Self::Wgpu);
        }
        if cfg!(feature = "cuda") {
            all.push(Self::Cuda(0));
        }
        all
    }

    /// burn's device of this name.
    ///
    /// # Errors
    /// When the device was not compiled in.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            #[cfg(feature = "flex")]
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(feature = "cuda")]
            Self::Cuda(number) => Ok(Device::cuda(number)),
            #[cfg(not(all(feature = "flex", feature = "wgpu", feature = "cuda")))]
            name => Err(DeviceError::NotBuilt { name, feature: name.feature() }),
        }
    }

    #[cfg(not(all(feature = "flex", feature = "wgpu", feature = "cuda")))]
    fn feature(self) -> &'static str {
        match self {
            Self::Cpu => "flex",
            Self::Wgpu => "wgpu",
            Self::Cuda(_) => "cuda",
        }
    }
}

/// Centroids that lie on a device.
pub struct Centroids {
    device: Device,
    /// `dim x k`.
    transposed: Tensor<2>,
    dim: usize,
}

impl Centroids {
    /// Moves centroids of length `dim`, one after the other in `centroids`, to a device.
    ///
    /// # Errors
    /// When the device was not compiled in, or the numbers make no whole vectors.
    pub fn new(device: DeviceName, centroids: &[f32], dim: usize) -> Result<Self, DeviceError> {
        let device = device.open()?;
        let transposed = matrix(centroids, dim, &device)?.transpose();
        Ok(Self { device, transposed, dim })
    }

    /// The centroid with the largest inner product for each row, ties to the lowest index.
    ///
    /// # Errors
    /// When the numbers make no whole vectors, or the device fails.
    pub fn nearest(&self, rows: &[f32]) -> Result<Vec<Nearest>, DeviceError> {
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let products = matrix(rows, self.dim, &self.device)?.matmul(self.transposed.clone());
        let (values, indices): (Tensor<2>, Tensor<2, Int>) = products.max_dim_with_indices(1);
        let failed = |e: &dyn fmt::Display| DeviceError::Failed(e.to_string());
        let values = values.try_into_data_as::<f32>().map_err(|e| failed(&e))?;
        let indices = indices.try_into_data_as::<i64>().map_err(|e| failed(&e))?;
        let values = values.try_to_vec::<f32>().map_err(|e| failed(&e))?;
        let indices = indices.try_to_vec::<i64>().map_err(|e| failed(&e))?;
        let nearest = |(value, index): (f32, i64)| Nearest { index: index as u32, value };
        Ok(values.into_iter().zip(indices).map(nearest).collect())
    }
}

fn matrix(numbers: &[f32], dim: usize, device: &Device) -> Result<Tensor<2>, DeviceError> {
    if dim == 0 || !numbers.len().is_multiple_of(dim) {
        return Err(DeviceError::Shape { numbers: numbers.len(), dim });
    }
    let data = TensorData::new(numbers.to_vec(), [numbers.len() / dim, dim]);
    Ok(Tensor::from_data(data, device))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit_rows(n: usize, dim: usize, seed: u32) -> Vec<f32> {
        let next = |state: &mut u32| {
            *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            Some((*state >> 8) as f32 / 8_388_608.0 - 1.0)
        };
        let mut rows: Vec<f32> =
            std::iter::repeat_n((), n * dim).scan(seed, |state, ()| next(state)).collect();
        for row in rows.chunks_exact_mut(dim) {
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.iter_mut().for_each(|x| *x /= norm);
        }
        rows
    }

    /// The suite that every device has to pass; it runs on all that were compiled in.
    #[test]
    fn every_device_agrees_with_the_native_kernels() {
        let (n, k, dim) = (70, 45, 24);
        let (rows, centroids) = (unit_rows(n, dim, 1), unit_rows(k, dim, 2));
        let products = curate_kernels::inner_products(&rows, &centroids, dim);
        for device in DeviceName::built() {
            let found = Centroids::new(device, &centroids, dim).unwrap().nearest(&rows).unwrap();
            assert_eq!(found.len(), n, "{device}");
            for (row, nearest) in products.chunks_exact(k).zip(found) {
                let best = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                assert!(
                    (nearest.value - best).abs() <= TOLERANCE,
                    "{device}: {} for {best}",
                    nearest.value
                );
                assert!(best - row[nearest.index as usize] <= TOLERANCE, "{device}");
            }
        }
    }

    #[test]
    fn ties_go_to_the_lowest_index() {
        for device in DeviceName::built() {
            let centroids = Centroids::new(device, &[0.0, 1.0, 1.0, 0.0, 1.0, 0.0], 2).unwrap();
            assert_eq!(centroids.nearest(&[1.0, 0.0]).unwrap()[0].index, 1, "{device}");
        }
    }

    #[test]
    fn names_and_what_is_wrong_with_them() {
        assert_eq!("cuda:3".parse(), Ok(DeviceName::Cuda(3)));
        assert_eq!(DeviceName::Cuda(3).to_string(), "cuda:3");
        assert!(
            "gpu".parse::<DeviceName>().unwrap_err().to_string().contains("use cpu, wgpu, cuda")
        );
        assert_eq!(
            Centroids::new(DeviceName::Cpu, &[1.0; 3], 2).err(),
            Some(DeviceError::Shape { numbers: 3, dim: 2 })
        );
        #[cfg(not(feature = "cuda"))]
        assert!(matches!(
            Centroids::new(DeviceName::Cuda(0), &[1.0], 1),
            Err(DeviceError::NotBuilt { .. })
        ));
    }
}
