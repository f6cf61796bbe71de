//! Nearest centroids on a device.

use std::fmt;

use burn::tensor::{Device, Int, Tensor, TensorData};
use curate_kernels::{Engine, EngineError, LoadedCentroids, Nearest};

use crate::{DeviceError, DeviceName};

/// Inner products that a search holds on the device at a time: 64 MiB of f32. Devices differ in
/// memory, and other programs use them too, so this stays far below what they have.
const PRODUCTS: usize = 1 << 24;

/// Centroids in the memory of a device.
///
/// A search is one matrix product of a block of rows with all centroids, and the index of the
/// largest product in each row. Unlike the native kernels it writes the block's products to memory,
/// since burn has no product with the reduction fused in.
pub struct Centroids {
    device: Device,
    /// `dim x k`.
    transposed: Tensor<2>,
    /// `1 x k`.
    bias: Option<Tensor<2>>,
    dim: usize,
    k: usize,
}

impl Centroids {
    /// Copies centroids of length `dim`, one after the other in `centroids`, to a device. `bias`
    /// has one number per centroid, which is added to its inner products.
    ///
    /// # Errors
    /// [`DeviceError::Shape`] if the numbers do not make up whole vectors, or `bias` does not have
    /// one number for each; [`DeviceError::NoCentroids`] if there are none.
    pub fn new(
        device: &Device,
        centroids: &[f32],
        dim: usize,
        bias: Option<&[f32]>,
    ) -> Result<Self, DeviceError> {
        let transposed = matrix(centroids, dim, device)?.transpose();
        let k = centroids.len() / dim;
        if k == 0 {
            return Err(DeviceError::NoCentroids);
        }
        let bias = match bias {
            Some(bias) if bias.len() != k => {
                return Err(DeviceError::Shape { numbers: bias.len(), dim: k });
            }
            Some(bias) => Some(matrix(bias, k, device)?),
            None => None,
        };
        Ok(Self { device: device.clone(), transposed, bias, dim, k })
    }

    /// The centroid with the largest inner product plus bias for each row; of several equal ones,
    /// the lowest index.
    ///
    /// # Errors
    /// [`DeviceError::Shape`] if the numbers do not make up whole rows, [`DeviceError::Failed`] if
    /// the device fails.
    pub fn nearest(&self, rows: &[f32]) -> Result<Vec<Nearest>, DeviceError> {
        let mut nearest = Vec::with_capacity(rows.len() / self.dim);
        for rows in rows.chunks(self.rows_at_once() * self.dim) {
            let (best, index) = self.products(rows)?.max_dim_with_indices(1);
            let values = best.try_into_data_as::<f32>().map_err(failed)?;
            let values = values.try_to_vec::<f32>().map_err(failed)?;
            let found = numbers(index)?.into_iter().zip(values);
            nearest.extend(found.map(|(index, value)| Nearest { index, value }));
        }
        Ok(nearest)
    }

    fn products(&self, rows: &[f32]) -> Result<Tensor<2>, DeviceError> {
        let products = matrix(rows, self.dim, &self.device)?.matmul(self.transposed.clone());
        Ok(match &self.bias {
            Some(bias) => products + bias.clone(),
            None => products,
        })
    }

    fn rows_at_once(&self) -> usize {
        (PRODUCTS / self.k).max(1)
    }
}

fn failed(error: impl fmt::Display) -> DeviceError {
    DeviceError::Failed(error.to_string())
}

fn numbers(indices: Tensor<2, Int>) -> Result<Vec<u32>, DeviceError> {
    let indices = indices.try_into_data_as::<i64>().map_err(failed)?;
    let indices = indices.try_to_vec::<i64>().map_err(failed)?;
    indices.into_iter().map(|index| u32::try_from(index).map_err(failed)).collect()
}

fn matrix(numbers: &[f32], dim: usize, device: &Device) -> Result<Tensor<2>, DeviceError> {
    if dim == 0 || !numbers.len().is_multiple_of(dim) {
        return Err(DeviceError::Shape { numbers: numbers.len(), dim });
    }
    let data = TensorData::new(numbers.to_vec(), [numbers.len() / dim, dim]);
    Ok(Tensor::from_data(data, device))
}

/// Searches nearest centroids on a burn device, for k-means in `curate-cluster`.
pub struct DeviceEngine(Device);

impl DeviceEngine {
    /// The engine on a device. On [`DeviceName::Cpu`] it uses burn's CPU backend, which is slower
    /// than the native kernels.
    ///
    /// # Errors
    /// When the device was not compiled in or is not present.
    pub fn new(name: DeviceName) -> Result<Self, DeviceError> {
        Ok(Self(name.open()?))
    }
}

impl Engine for DeviceEngine {
    fn load<'a>(
        &'a self,
        centroids: &[f32],
        dim: usize,
        bias: Option<&[f32]>,
    ) -> Result<Box<dyn LoadedCentroids + 'a>, EngineError> {
        Ok(Box::new(Centroids::new(&self.0, centroids, dim, bias)?))
    }
}

impl LoadedCentroids for Centroids {
    fn nearest(&self, rows: &[f32], out: &mut [u32]) -> Result<(), EngineError> {
        let given = rows.len() / self.dim;
        if out.len() != given {
            return Err(DeviceError::Room { room: out.len(), rows: given }.into());
        }
        let at_once = self.rows_at_once();
        for (rows, out) in rows.chunks(at_once * self.dim).zip(out.chunks_mut(at_once)) {
            out.copy_from_slice(&numbers(self.products(rows)?.argmax(1))?);
        }
        Ok(())
    }
}
