//! Image files as PIL opens them.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};

use super::{bmp, formats, gif, jpeg, png, pnm};

/// What an image may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pixels of the largest image that is decoded. A file of a few bytes can declare billions.
    pub pixels: u64,
}

impl Default for Limits {
    /// 89,478,485 pixels, where PIL begins to warn of a decompression bomb.
    fn default() -> Self {
        Self { pixels: 89_478_485 }
    }
}

/// An image cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// The bytes are no image of a known format.
    #[error("no image file that this program reads (JPEG, PNG, WebP, GIF, BMP, TIFF, ICO, PPM)")]
    UnknownFormat,
    /// A kind of image that is not read; its name.
    #[error("the image is {0}, which this program does not read")]
    Unsupported(String),
    /// The image has no pixels.
    #[error("the image is {width} x {height} pixels")]
    Empty {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The image is larger than [`Limits::pixels`].
    #[error("the image declares {width} x {height} pixels, more than the limit of {limit}")]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The limit.
        limit: u64,
    },
    /// The file ends before the image does.
    #[error("the image file is cut off")]
    Truncated,
    /// The bytes break their format.
    #[error("the image file is damaged: {0}")]
    Damaged(String),
    /// An argument that does not fit the image, or leaves nothing of it.
    #[error("`{argument}`: {problem}")]
    Argument {
        /// The argument.
        argument: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// Red, green and blue bytes, row after row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `height * width * 3` bytes.
    pub bytes: Vec<u8>,
}

/// How PIL holds the image, as far as its resampling depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Colors or grays.
    Plain,
    /// Colors or grays with transparency: resampled with the colors multiplied by it.
    Alpha,
    /// A palette, or black and white: resampled to the nearest pixel.
    Indexed,
}

/// A decoded image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The pixels without transparency, as `convert("RGB")` gives them.
    pub rgb: Rgb,
    /// Transparency, one byte a pixel; empty without it.
    pub alpha: Vec<u8>,
    /// How PIL holds the image.
    pub mode: Mode,
}

/// Decodes an image file; of an animation the first frame. The camera's orientation is ignored, as
/// PIL and open_clip do. Transparency is dropped, the colors under it stay.
///
/// # Errors
/// When the bytes are no image, the image is cut off, damaged, empty or over the limit.
pub fn decode(bytes: &[u8], limits: Limits) -> Result<Decoded, ImageError> {
    let format = formats::format(bytes)?;
    match format {
        ImageFormat::Jpeg => jpeg::decode(bytes, limits),
        ImageFormat::Gif => gif::decode(bytes, limits),
        ImageFormat::Pnm => pnm::decode(bytes, limits).map(|(image, mode)| unpack(image, mode)),
        ImageFormat::Png => png(bytes, limits),
        ImageFormat::Bmp => {
            let mut decoded = unpack(general(bytes, format, limits)?, Mode::Plain);
            bmp::round_down(bytes, &mut decoded.rgb.bytes);
            Ok(decoded)
        }
        _ => general(bytes, format, limits).map(|image| unpack(image, Mode::Plain)),
    }
}

fn general(bytes: &[u8], format: ImageFormat, limits: Limits) -> Result<DynamicImage, ImageError> {
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    pixels(reader.into_decoder().map_err(damaged)?, limits)
}

fn png(bytes: &[u8], limits: Limits) -> Result<Decoded, ImageError> {
    let image = general(&png::with_end(bytes), ImageFormat::Png, limits)?;
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

pub(super) fn pixels(
    mut decoder: impl ImageDecoder,
    limits: Limits,
) -> Result<DynamicImage, ImageError> {
    let (width, height) = decoder.dimensions();
    check_size(width, height, limits)?;
    // 16-bit RGBA and a working copy of it; what asks for more declares a size it does not have.
    let mut bounds = image::Limits::no_limits();
    bounds.max_alloc = Some(limits.pixels.saturating_mul(16).max(1 << 20));
    decoder.set_limits(bounds).map_err(damaged)?;
    DynamicImage::from_decoder(decoder).map_err(damaged)
}

pub(super) fn check_size(width: u32, height: u32, limits: Limits) -> Result<(), ImageError> {
    if width == 0 || height == 0 {
        return Err(ImageError::Empty { width, height });
    }
    if u64::from(width) * u64::from(height) > limits.pixels {
        return Err(ImageError::TooLarge { width, height, limit: limits.pixels });
    }
    Ok(())
}

pub(super) fn damaged(error: image::ImageError) -> ImageError {
    let text = error.to_string();
    if matches!(error, image::ImageError::Unsupported(_)) {
        return ImageError::Unsupported(format!("a rare variant of its format ({text})"));
    }
    let ended = match &error {
        image::ImageError::IoError(e) => e.kind() == std::io::ErrorKind::UnexpectedEof,
        _ => ["UnexpectedEof", "unexpected end", "Unexpected end", "InsufficientInput"]
            .iter()
            .any(|s| text.contains(s)),
    };
    if ended { ImageError::Truncated } else { ImageError::Damaged(text) }
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
    let (mut rgb, mut alpha) = (Vec::new(), Vec::new());
    for (i, byte) in rgba.enumerate() {
        if i % 4 == 3 { alpha.push(byte) } else { rgb.push(byte) }
    }
    (rgb, alpha)
}
