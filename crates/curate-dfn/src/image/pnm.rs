//! PBM, PGM and PPM files: samples brought to 8 bits by Pillow's rounding.

use image::{
    DynamicImage, ImageBuffer,
    codecs::pnm::{PnmDecoder, PnmSubtype},
};

use super::{
    budget::{Gate, pixels},
    types::{ImageError, Mode, damaged},
};

/// The image, and how Pillow holds it.
pub(super) fn decode(bytes: &[u8], gate: &mut Gate) -> Result<(DynamicImage, Mode), ImageError> {
    let decoder = PnmDecoder::new(bytes).map_err(damaged)?;
    let most = decoder.header().maximal_sample();
    if matches!(decoder.subtype(), PnmSubtype::Bitmap(_)) {
        return Ok((pixels(decoder, gate)?, Mode::Indexed));
    }
    Ok((scaled(pixels(decoder, gate)?, most), Mode::Plain))
}

/// The decoder scaled samples from `most` to all bits, and rounded halves up; Pillow rounds them to
/// even. Colors become bytes at once, grays of more than 8 bits stay.
fn scaled(image: DynamicImage, most: u32) -> DynamicImage {
    let again = |value: u32, from: u32, to: u32| {
        let sample = (f64::from(value) * f64::from(most) / f64::from(from)).round();
        (sample / f64::from(most) * f64::from(to)).round_ties_even()
    };
    let byte = |value: u8| again(value.into(), 255, 255) as u8;
    match image {
        DynamicImage::ImageLuma8(mut image) if most < 255 => {
            image.iter_mut().for_each(|v| *v = byte(*v));
            image.into()
        }
        DynamicImage::ImageRgb8(mut image) if most < 255 => {
            image.iter_mut().for_each(|v| *v = byte(*v));
            image.into()
        }
        DynamicImage::ImageLuma16(mut image) => {
            image.iter_mut().for_each(|v| *v = again((*v).into(), 65535, 65535) as u16);
            image.into()
        }
        DynamicImage::ImageRgb16(image) => {
            let (width, height) = image.dimensions();
            let bytes = image.iter().map(|&v| again(v.into(), 65535, 255) as u8).collect();
            ImageBuffer::from_raw(width, height, bytes)
                .map_or(DynamicImage::ImageRgb16(image), DynamicImage::ImageRgb8)
        }
        other => other,
    }
}
