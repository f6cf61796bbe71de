//! From the bytes of an image file to the numbers that a network takes, as open_clip does it.
//!
//! - [`decode`]: the pixels that PIL's `convert("RGB")` has.
//! - [`resize`]: PIL's resampling, byte for byte.
//! - [`Transform`]: resize, crop, mean and deviation.

mod bmp;
mod budget;
mod decode;
mod formats;
mod gif;
mod ico;
mod jpeg;
mod png;
mod pnm;
mod resize;
mod transform;
mod types;

pub(crate) use budget::Gate;
pub use budget::LONGEST_SIDE;
pub use decode::decode;
pub(crate) use decode::decode_through;
pub(crate) use resize::kernel_weights;
pub use resize::{Region, resize};
pub use transform::{PixelContract, Transform};
pub use types::{Decoded, ImageError, Limits, Mode, Rgb};
