//! JPEG files, by the code of libjpeg-turbo, which Pillow has too: the same bytes for every shape.

mod header;
mod libjpeg;

use header::Header;

use super::{
    budget::Gate,
    types::{Decoded, ImageError, Mode, Rgb},
};

/// The pixels of a JPEG file as Pillow has them. What follows the image is not looked at.
pub(super) fn decode(bytes: &[u8], gate: &mut Gate) -> Result<Decoded, ImageError> {
    let header = Header::read(bytes)?;
    gate.admit(header.width.into(), header.height.into(), header.bytes_a_pixel())?;
    let (width, height) = (usize::from(header.width), usize::from(header.height));
    let bytes = libjpeg::decode(bytes, &header)?;
    Ok(Decoded { rgb: Rgb { width, height, bytes }, alpha: vec![], mode: Mode::Plain })
}
