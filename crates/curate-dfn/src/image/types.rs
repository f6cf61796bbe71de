//! What a decoded image is, and what can be wrong with a file.

use image::{ExtendedColorType, error::UnsupportedErrorKind};

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
    /// A side of the image is longer than [`LONGEST_SIDE`](super::LONGEST_SIDE).
    #[error(
        "the image declares {width} x {height} pixels, a side longer than the limit of {limit}"
    )]
    TooLong {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The limit.
        limit: u32,
    },
    /// The file ends before the image does.
    #[error("the image file is cut off")]
    Truncated,
    /// The bytes break their format.
    #[error("the image file is damaged: {0}")]
    Damaged(String),
    /// The decoder panicked, which is a fault of it, whatever the bytes are.
    #[error("the decoder failed inside: {0}")]
    Panicked(String),
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

/// A file of a format that is read, in a way that is not, without the words of the decoder's source.
fn variant(unsupported: &image::error::UnsupportedError) -> String {
    let format = match unsupported.format_hint() {
        image::error::ImageFormatHint::Exact(format) => {
            format.extensions_str().first().map_or_else(String::new, |ending| ending.to_uppercase())
        }
        _ => "image".to_owned(),
    };
    match unsupported.kind() {
        UnsupportedErrorKind::Color(ExtendedColorType::Unknown(bits)) => {
            format!("a rare variant of a {format} file (pixels of {bits} bits)")
        }
        UnsupportedErrorKind::GenericFeature(feature) => {
            format!("a rare variant of a {format} file ({feature})")
        }
        _ => format!("a rare variant of a {format} file"),
    }
}

pub(super) fn damaged(error: image::ImageError) -> ImageError {
    let text = error.to_string();
    if let image::ImageError::Unsupported(unsupported) = &error {
        return ImageError::Unsupported(variant(unsupported));
    }
    let ended = match &error {
        image::ImageError::IoError(e) => e.kind() == std::io::ErrorKind::UnexpectedEof,
        _ => ["UnexpectedEof", "unexpected end", "Unexpected end", "InsufficientInput"]
            .iter()
            .any(|s| text.contains(s)),
    };
    if ended { ImageError::Truncated } else { ImageError::Damaged(text) }
}
