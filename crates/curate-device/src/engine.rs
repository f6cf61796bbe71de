//! From a name to what searches on that device.

use curate_kernels::Engine;

use crate::{DeviceError, DeviceName};

impl DeviceName {
    /// What searches nearest centroids for k-means on this device. `None` on the CPU, where k-means
    /// uses the native kernels instead of burn.
    ///
    /// # Errors
    /// When the device was not compiled in or is not present.
    pub fn engine(self) -> Result<Option<Box<dyn Engine>>, DeviceError> {
        match self.resolve() {
            Self::Cpu => Ok(None),
            #[cfg(any(feature = "wgpu", feature = "cuda"))]
            name => Ok(Some(Box::new(crate::DeviceEngine::new(name)?))),
            #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
            name => Err(name.not_built()),
        }
    }

    /// This device; for `auto`, the best one present.
    pub fn resolve(self) -> Self {
        match self {
            Self::Auto => crate::found::best(),
            name => name,
        }
    }
}
