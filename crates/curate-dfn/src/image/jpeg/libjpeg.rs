//! libjpeg-turbo's decoder, in mozjpeg's copy of it, with Pillow's settings: the accurate inverse
//! transform and smooth upsampling, which are the defaults of both.

use std::{
    cell::Cell,
    io::{self, BufRead, Read},
    panic::{AssertUnwindSafe, catch_unwind},
};

use curate_kernels::rgb_of_ycc;
use mozjpeg::{ColorSpace, Decompress};

use super::header::Header;
use crate::image::types::ImageError;

/// Red, green and blue bytes.
pub(super) fn decode(bytes: &[u8], header: &Header) -> Result<Vec<u8>, ImageError> {
    let ended = Cell::new(false);
    let source = Source { rest: bytes, ended: &ended };
    // libjpeg leaves by unwinding when it finds a fault; what it allocated is freed on the way.
    let mut pixels = vec![];
    let result = catch_unwind(AssertUnwindSafe(|| read(source, header, &mut pixels)));
    match result {
        Ok(Ok(())) => Ok(in_rgb(pixels, header)),
        // All lines are there, only the end marker is not: Pillow reads it.
        _ if ended.get() && !pixels.is_empty() => Ok(in_rgb(pixels, header)),
        _ if ended.get() => Err(ImageError::Truncated),
        Ok(Err(error)) => Err(ImageError::Damaged(error.to_string())),
        Err(panic) => Err(ImageError::Damaged(message(&*panic))),
    }
}

fn read(source: Source<'_>, header: &Header, pixels: &mut Vec<u8>) -> io::Result<()> {
    let file = Decompress::new_reader(source)?;
    let color = match (header.components, file.color_space()) {
        (1, _) => ColorSpace::JCS_GRAYSCALE,
        // Its conversion of colors is a fifth of its work, and `rgb_of_ycc` has the same bytes.
        (3, ColorSpace::JCS_YCbCr) => ColorSpace::JCS_YCbCr,
        (3, _) => ColorSpace::JCS_RGB,
        _ => ColorSpace::JCS_CMYK,
    };
    let mut started = file.to_colorspace(color)?;
    let size = (usize::from(header.width), usize::from(header.height));
    if (started.width(), started.height()) != size {
        return Err(io::Error::other("two starts of a frame that differ"));
    }
    *pixels = started.read_scanlines()?;
    if matches!(color, ColorSpace::JCS_YCbCr) {
        rgb_of_ycc(pixels);
    }
    started.finish()
}

fn in_rgb(pixels: Vec<u8>, header: &Header) -> Vec<u8> {
    match header.components {
        1 => pixels.iter().flat_map(|&gray| [gray; 3]).collect(),
        3 => pixels,
        _ => from_cmyk(&pixels),
    }
}

/// Pillow takes every file of four components for one of Adobe's, whose inks are inverted.
fn from_cmyk(pixels: &[u8]) -> Vec<u8> {
    pixels.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]].map(|c| paper(255 - c, p[3]))).collect()
}

/// `white - ink * white / 255`, where the black ink leaves `white`.
fn paper(ink: u8, white: u8) -> u8 {
    let product = u32::from(ink) * u32::from(white) + 128;
    white - (((product >> 8) + product) >> 8) as u8
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map_or("libjpeg refuses it", String::as_str);
    text.trim_start_matches("libjpeg fatal error: ").to_owned()
}

/// The bytes of a file; asking for more than there are is an error, and remembered.
struct Source<'a> {
    rest: &'a [u8],
    ended: &'a Cell<bool>,
}

impl BufRead for Source<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.rest.is_empty() {
            self.ended.set(true);
            // Of an unexpected end mozjpeg makes an image with a gray rest.
            return Err(io::Error::other("the file ends before the image"));
        }
        Ok(self.rest)
    }

    fn consume(&mut self, amount: usize) {
        self.rest = self.rest.get(amount..).unwrap_or_default();
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.rest.read(buffer)
    }
}
