//! Image files as PIL opens them.

use std::io::Cursor;

use curate_core::guard::guarded;
use image::{DynamicImage, ImageFormat, ImageReader};

use super::{
    bmp,
    budget::{Gate, pixels},
    formats, gif, ico, jpeg, png, pnm,
    types::{Decoded, ImageError, Limits, Mode, Rgb, damaged},
};

/// Bytes of what lies in a file beside its pixels, such as color profiles; a line of them is there too.
const MOST_BESIDE: u64 = 64 << 20;

/// Decodes an image file; of an animation the first frame. The camera's orientation is ignored, as
/// PIL and open_clip do. Transparency is dropped, the colors under it stay.
///
/// # Errors
/// When the bytes are no image, the image is cut off, damaged, empty or over the limit.
pub fn decode(bytes: &[u8], limits: Limits) -> Result<Decoded, ImageError> {
    decode_through(&mut Gate::new(limits), bytes)
}

/// [`decode`] as soon as the gate lets it pass; the memory counts until that is dropped.
pub(crate) fn decode_through(gate: &mut Gate, bytes: &[u8]) -> Result<Decoded, ImageError> {
    guarded(|| by_format(gate, bytes)).unwrap_or_else(|message| Err(ImageError::Panicked(message)))
}

fn by_format(gate: &mut Gate, bytes: &[u8]) -> Result<Decoded, ImageError> {
    let format = formats::format(bytes)?;
    match format {
        ImageFormat::Jpeg => jpeg::decode(bytes, gate),
        ImageFormat::Gif => gif::decode(bytes, gate),
        ImageFormat::Pnm => pnm::decode(bytes, gate).map(|(image, mode)| unpack(image, mode)),
        ImageFormat::Png => png(bytes, gate),
        ImageFormat::Ico => match ico::largest_png(bytes) {
            Some(file) => png(file, gate),
            None => general(bytes, format, gate).map(|image| unpack(image, Mode::Plain)),
        },
        ImageFormat::Bmp => {
            let mut decoded = unpack(general(bytes, format, gate)?, Mode::Plain);
            bmp::round_down(bytes, &mut decoded.rgb.bytes);
            Ok(decoded)
        }
        _ => general(bytes, format, gate).map(|image| unpack(image, Mode::Plain)),
    }
}

fn general(bytes: &[u8], format: ImageFormat, gate: &mut Gate) -> Result<DynamicImage, ImageError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(MOST_BESIDE);
    reader.limits(limits);
    pixels(reader.into_decoder().map_err(damaged)?, gate)
}

fn png(bytes: &[u8], gate: &mut Gate) -> Result<Decoded, ImageError> {
    // Before the decoder takes memory for a line of it.
    if let Some((width, height)) = png::size(bytes) {
        gate.check(width, height)?;
    }
    let image = general(&png::with_end(bytes), ImageFormat::Png, gate)?;
    if png::has_alpha_channel(bytes) {
        return Ok(unpack(image, Mode::Plain));
    }
    // Of a single transparent color the decoder makes an alpha, Pillow does not.
    let image = match image {
        DynamicImage::ImageLumaA16(_) => image.into_luma16().into(),
        DynamicImage::ImageRgba16(_) => image.into_rgb16().into(),
        DynamicImage::ImageLumaA8(_) => image.into_luma8().into(),
        DynamicImage::ImageRgba8(_) => image.into_rgb8().into(),
        other => other,
    };
    Ok(unpack(image, png::mode(bytes)))
}

fn unpack(image: DynamicImage, mode: Mode) -> Decoded {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let has_alpha = image.color().has_alpha() && mode == Mode::Plain;
    // PIL keeps the high byte of 16-bit colors, but clips 16-bit grays: most become white.
    let (bytes, alpha): (Vec<u8>, Vec<u8>) = match image {
        DynamicImage::ImageRgb8(image) => (image.into_raw(), vec![]),
        DynamicImage::ImageRgb16(image) => {
            (image.into_raw().iter().map(|v| (v >> 8) as u8).collect(), vec![])
        }
        DynamicImage::ImageRgba16(image) => split(image.into_raw().iter().map(|v| (v >> 8) as u8)),
        DynamicImage::ImageLuma16(image) => {
            (image.into_raw().iter().flat_map(|&v| [v.min(255) as u8; 3]).collect(), vec![])
        }
        DynamicImage::ImageLumaA16(image) => {
            split(image.into_raw().chunks_exact(2).flat_map(|p| {
                let (grey, alpha) = ((p[0] >> 8) as u8, (p[1] >> 8) as u8);
                [grey, grey, grey, alpha]
            }))
        }
        other => split(other.into_rgba8().into_raw().into_iter()),
    };
    let alpha = if has_alpha { alpha } else { vec![] };
    let mode = if has_alpha { Mode::Alpha } else { mode };
    Decoded { rgb: Rgb { width, height, bytes }, alpha, mode }
}

fn split(rgba: impl Iterator<Item = u8>) -> (Vec<u8>, Vec<u8>) {
    let pixels = rgba.size_hint().0 / 4;
    let (mut rgb, mut alpha) = (Vec::with_capacity(3 * pixels), Vec::with_capacity(pixels));
    for (i, byte) in rgba.enumerate() {
        if i % 4 == 3 { alpha.push(byte) } else { rgb.push(byte) }
    }
    (rgb, alpha)
}
