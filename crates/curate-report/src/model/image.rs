//! Images, checked by their first bytes.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Serialize, Serializer};

/// An image file, embedded unchanged.
///
/// The bytes are recognized but not decoded or scaled, so keep them small: a report with 500
/// thumbnails of 4 kB takes 2.7 MB. SVG is not accepted, since it can carry scripts. Clones share
/// the bytes.
///
/// ```
/// use curate_report::{Image, ImageFormat};
///
/// let gif = b"GIF89a\x40\x00\x20\x00rest".to_vec();
/// let image = Image::from_bytes(gif).expect("begins as a GIF does");
/// assert_eq!(image.format(), ImageFormat::Gif);
/// assert_eq!(image.size(), Some((64, 32)));
/// assert!(Image::from_bytes(b"<svg onload=alert(1)>".to_vec()).is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Image {
    format: ImageFormat,
    size: Option<(u32, u32)>,
    #[serde(rename = "base64", serialize_with = "as_base64")]
    bytes: Arc<[u8]>,
}

impl Image {
    /// Recognizes a PNG, JPEG, WebP or GIF by its first bytes; `None` for anything else.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Arc<[u8]>>) -> Option<Self> {
        let bytes = bytes.into();
        let format = ImageFormat::sniff(&bytes)?;
        let size = format.size(&bytes).filter(|&(width, height)| width > 0 && height > 0);
        Some(Self { format, size, bytes })
    }

    /// The format, as its first bytes tell it.
    #[must_use]
    pub fn format(&self) -> ImageFormat {
        self.format
    }

    /// Width and height in pixels, if the header gives them.
    #[must_use]
    pub fn size(&self) -> Option<(u32, u32)> {
        self.size
    }

    /// The file's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

fn as_base64<S: Serializer>(bytes: &Arc<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

/// The image formats that every browser shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ImageFormat {
    /// Portable Network Graphics.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    WebP,
    /// Graphics Interchange Format.
    Gif,
}

impl ImageFormat {
    /// The media type: `image/png`.
    #[must_use]
    pub fn mime(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
        }
    }

    fn sniff(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
            Some(Self::Jpeg)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Some(Self::WebP)
        } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
            Some(Self::Gif)
        } else {
            None
        }
    }

    fn size(self, bytes: &[u8]) -> Option<(u32, u32)> {
        match self {
            Self::Png => Some((be(bytes.get(16..20)?), be(bytes.get(20..24)?))),
            Self::Gif => Some((le(bytes.get(6..8)?), le(bytes.get(8..10)?))),
            Self::Jpeg => jpeg_size(bytes),
            Self::WebP => webp_size(bytes),
        }
    }
}

fn be(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, &byte| sum << 8 | u32::from(byte))
}

fn le(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |sum, &byte| sum << 8 | u32::from(byte))
}

/// Walks the segments to the frame header, which holds the height before the width. Every step
/// moves on by at least two bytes, so a hostile file ends the walk at its end.
fn jpeg_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let marker = *bytes.get(at + 1)?;
        let length = be(bytes.get(at + 2..at + 4)?) as usize;
        // C0 to CF are frame headers, except the tables C4, C8 and CC.
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            return Some((be(bytes.get(at + 7..at + 9)?), be(bytes.get(at + 5..at + 7)?)));
        }
        at += 2 + length;
    }
}

fn webp_size(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8X" => Some((le(bytes.get(24..27)?) + 1, le(bytes.get(27..30)?) + 1)),
        b"VP8L" => {
            let bits = le(bytes.get(21..25)?);
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8 " => Some((le(bytes.get(26..28)?) & 0x3fff, le(bytes.get(28..30)?) & 0x3fff)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of(bytes: &[u8]) -> Option<(u32, u32)> {
        Image::from_bytes(bytes.to_vec()).unwrap().size()
    }

    #[test]
    fn sizes_are_read_from_the_header() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x01\x02\0\0\0\x03";
        assert_eq!(size_of(png), Some((258, 3)));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x0b\x08\0\x30\0\x40";
        assert_eq!(size_of(jpeg), Some((64, 48)));
        let vp8x = b"RIFF....WEBPVP8X........\x3f\0\0\x1f\0\0";
        assert_eq!(size_of(vp8x), Some((64, 32)));
        let vp8l = b"RIFF....WEBPVP8L....\x2f\x3f\xc0\x07\0";
        assert_eq!(size_of(vp8l), Some((64, 32)));
        let vp8 = b"RIFF....WEBPVP8 ....\0\0\0\x9d\x01\x2a\x40\0\x20\0";
        assert_eq!(size_of(vp8), Some((64, 32)));
    }

    #[test]
    fn cut_headers_have_no_size() {
        assert_eq!(size_of(b"\x89PNG\r\n\x1a\n"), None);
        assert_eq!(size_of(b"\xff\xd8\xff\xe0\xff\xff"), None);
        assert_eq!(size_of(b"RIFF....WEBPVP8X"), None);
        assert_eq!(size_of(b"GIF89a\0\0\0\0"), None);
    }

    #[test]
    fn other_files_are_refused() {
        for bytes in [&b""[..], b"<svg/>", b"BM", b"\x89PNG"] {
            assert!(Image::from_bytes(bytes.to_vec()).is_none());
        }
    }
}
