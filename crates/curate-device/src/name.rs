//! Devices by name.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A device by name: `auto`, `cpu`, `wgpu`, `cuda` or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceName {
    /// The best device that was compiled in and is present: CUDA, else WebGPU (except on software
    /// renderers), else the CPU.
    Auto,
    /// The CPU.
    #[default]
    Cpu,
    /// The best GPU that WebGPU finds.
    Wgpu,
    /// The CUDA device with this number.
    Cuda(usize),
}

/// Why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No device has this name.
    #[error("`{0}` is not a device: use auto, cpu, wgpu, cuda or cuda:N")]
    Unknown(String),
    /// The device was not compiled in.
    #[error(
        "this program was built without support for {name}: build it with the feature `{feature}`, \
         or use the device cpu"
    )]
    NotBuilt {
        /// The device.
        name: DeviceName,
        /// The feature that adds it.
        feature: &'static str,
    },
    /// This machine lacks the device or its driver.
    #[error("no device {name} was found: {remedy}")]
    NotFound {
        /// The device.
        name: DeviceName,
        /// What to do.
        remedy: String,
    },
    /// The numbers given do not make up whole vectors.
    #[error("{numbers} numbers do not make up whole vectors of length {dim}")]
    Shape {
        /// How many numbers were given.
        numbers: usize,
        /// The length of a vector.
        dim: usize,
    },
    /// There is nothing to choose from.
    #[error("`centroids` is empty: give at least one")]
    NoCentroids,
    /// The answers do not fit the rows.
    #[error("`out` has room for {room} answers, but there are {rows} rows")]
    Room {
        /// The length of `out`.
        room: usize,
        /// The number of rows.
        rows: usize,
    },
    /// The device failed.
    #[error("the device failed: {0}")]
    Failed(String),
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        match text {
            "auto" => Ok(Self::Auto),
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

impl TryFrom<String> for DeviceName {
    type Error = DeviceError;

    fn try_from(text: String) -> Result<Self, DeviceError> {
        text.parse()
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Wgpu => f.write_str("wgpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl DeviceName {
    #[cfg_attr(
        all(feature = "flex", feature = "wgpu", feature = "cuda"),
        allow(dead_code, reason = "everything was built")
    )]
    pub(crate) fn not_built(self) -> DeviceError {
        let feature = match self {
            Self::Auto | Self::Cpu => "flex",
            Self::Wgpu => "wgpu",
            Self::Cuda(_) => "cuda",
        };
        DeviceError::NotBuilt { name: self, feature }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_what_is_wrong_with_them() {
        for name in ["auto", "cpu", "wgpu", "cuda:0", "cuda:3"] {
            assert_eq!(name.parse::<DeviceName>().unwrap().to_string(), name);
        }
        assert_eq!("cuda".parse(), Ok(DeviceName::Cuda(0)));
        for name in ["gpu", "cuda:", "cuda:-1", "CPU", ""] {
            let error = name.parse::<DeviceName>().unwrap_err().to_string();
            assert!(error.contains("use auto, cpu, wgpu, cuda"), "{error}");
        }
    }

    #[test]
    fn the_cpu_needs_no_engine() {
        assert!(DeviceName::Cpu.engine().unwrap().is_none());
    }

    #[cfg(not(any(feature = "wgpu", feature = "cuda")))]
    #[test]
    fn a_device_that_was_not_built_in_names_its_feature() {
        for (name, feature) in [("wgpu", "wgpu"), ("cuda:1", "cuda")] {
            let name: DeviceName = name.parse().unwrap();
            let error = name.engine().err().unwrap();
            assert_eq!(error, DeviceError::NotBuilt { name, feature });
        }
        assert_eq!(DeviceName::Auto.resolve(), DeviceName::Cpu);
        assert!(DeviceName::Auto.engine().unwrap().is_none());
    }
}
