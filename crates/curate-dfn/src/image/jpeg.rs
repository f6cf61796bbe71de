//! JPEG files, by the code of libjpeg-turbo, which Pillow has too: the same bytes for every shape.

mod header;
mod libjpeg;

use header::Header;

use super::types::{Decoded, ImageError, Limits, Mode, Rgb, check_size};

/// The pixels of a JPEG file as Pillow has them. What follows the image is not looked at.
pub(super) fn decode(bytes: &[u8], limits: Limits) -> Result<Decoded, ImageError> {
    let header = Header::read(bytes)?;
    check_size(header.width.into(), header.height.into(), limits)?;
    let (width, height) = (usize::from(header.width), usize::from(header.height));
    let bytes = libjpeg::decode(bytes, &header)?;
    Ok(Decoded { rgb: Rgb { width, height, bytes }, alpha: vec![], mode: Mode::Plain })
}
