//! The devices in this machine.

#[cfg(feature = "flex")]
use burn::tensor::Device;
#[cfg(feature = "wgpu")]
use burn::tensor::DeviceKind;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn::tensor::DeviceType;

use crate::DeviceName;

/// What `auto` means here.
pub(crate) fn best() -> DeviceName {
    #[cfg(feature = "cuda")]
    if !Device::enumerate(DeviceType::Cuda).is_empty() {
        return DeviceName::Cuda(0);
    }
    #[cfg(feature = "wgpu")]
    if !is_software_only() {
        return DeviceName::Wgpu;
    }
    DeviceName::Cpu
}

/// True when WebGPU finds nothing but software renderers, or nothing at all.
#[cfg(feature = "wgpu")]
fn is_software_only() -> bool {
    let software = Device::wgpu(DeviceKind::Cpu);
    Device::enumerate(DeviceType::Wgpu).iter().all(|device| *device == software)
}

#[cfg(feature = "flex")]
impl DeviceName {
    /// True when WebGPU would run on the CPU: the answers are right, but it is far slower than the
    /// CPU's own kernels.
    pub fn is_software(self) -> bool {
        #[cfg(feature = "wgpu")]
        if self.resolve() == Self::Wgpu {
            return is_software_only();
        }
        false
    }

    /// The devices that were compiled in and are present, the CPU first. Software renderers count.
    pub fn found() -> Vec<Self> {
        #[allow(unused_mut, reason = "the CPU alone without the other features")]
        let mut all = vec![Self::Cpu];
        #[cfg(feature = "wgpu")]
        if !Device::enumerate(DeviceType::Wgpu).is_empty() {
            all.push(Self::Wgpu);
        }
        #[cfg(feature = "cuda")]
        all.extend((0..Device::enumerate(DeviceType::Cuda).len()).map(Self::Cuda));
        all
    }

    /// burn's device with this name.
    ///
    /// # Errors
    /// When the device was not compiled in or is not present.
    pub fn open(self) -> Result<Device, crate::DeviceError> {
        match self.resolve() {
            Self::Auto | Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu if !Device::enumerate(DeviceType::Wgpu).is_empty() => {
                Ok(Device::wgpu(DeviceKind::DefaultDevice))
            }
            #[cfg(feature = "wgpu")]
            Self::Wgpu => {
                let remedy = "install a Vulkan, Metal or DX12 driver, or use the device cpu";
                Err(crate::DeviceError::NotFound { name: self, remedy: remedy.to_owned() })
            }
            #[cfg(feature = "cuda")]
            Self::Cuda(number) => {
                let found = Device::enumerate(DeviceType::Cuda).len();
                if number < found {
                    return Ok(Device::cuda(number));
                }
                let remedy = match found {
                    0 => "install NVIDIA's driver, or use the device cpu".to_owned(),
                    _ => format!("use cuda:0 to cuda:{}", found - 1),
                };
                Err(crate::DeviceError::NotFound { name: self, remedy })
            }
            #[cfg(not(all(feature = "wgpu", feature = "cuda")))]
            name => Err(name.not_built()),
        }
    }

    /// The name that the device gives itself, if it gives one.
    ///
    /// # Errors
    /// When the device was not compiled in or is not present.
    pub fn describe(self) -> Result<String, crate::DeviceError> {
        let device = self.open()?;
        #[cfg(any(feature = "wgpu", feature = "cuda"))]
        if let Some(identity) = device.identity() {
            return Ok(identity.name);
        }
        let _ = device;
        Ok("burn flex".to_owned())
    }
}
