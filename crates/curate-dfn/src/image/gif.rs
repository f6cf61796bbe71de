//! GIF files: the first frame on its canvas, as Pillow lays it there.

use std::borrow::Cow;

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};

use super::{
    budget::Gate,
    types::{Decoded, ImageError, Mode, Rgb},
};

/// The first frame. Around a frame that is smaller than the canvas lies the transparent color, or
/// color 0 where none is transparent; a frame that is larger makes the canvas larger.
pub(super) fn decode(bytes: &[u8], gate: &mut Gate) -> Result<Decoded, ImageError> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.allow_unknown_blocks(true);
    let most = gate.most_pixels().try_into().unwrap_or(std::num::NonZeroU64::MIN);
    options.set_memory_limit(MemoryLimit::Bytes(most));
    let bytes = with_palette(bytes);
    let mut decoder = options.read_info(&bytes[..]).map_err(fault)?;
    let frame = decoder.next_frame_info().map_err(fault)?.ok_or(ImageError::Truncated)?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (across, down) = (usize::from(frame.width), usize::from(frame.height));
    let (local, transparent) = (frame.palette.clone(), frame.transparent);

    let width = (left + across).max(decoder.width().into());
    let height = (top + down).max(decoder.height().into());
    // A frame and a canvas of color numbers, and their colors.
    gate.admit(width as u32, height as u32, 5)?;
    let mut indices = vec![0; across * down];
    decoder.read_into_buffer(&mut indices).map_err(fault)?;

    let mut canvas = vec![transparent.unwrap_or(0); width * height];
    for (y, row) in indices.chunks_exact(across.max(1)).enumerate() {
        canvas[(top + y) * width + left..][..across].copy_from_slice(row);
    }
    let palette = local.as_deref().or_else(|| decoder.global_palette()).unwrap_or_default();
    let (bytes, mode) = match is_gray(palette) {
        true => (canvas.iter().flat_map(|&index| [index; 3]).collect(), Mode::Plain),
        false => (canvas.iter().flat_map(|&index| color(palette, index)).collect(), Mode::Indexed),
    };
    Ok(Decoded { rgb: Rgb { width, height, bytes }, alpha: vec![], mode })
}

/// Behind the end of a palette Pillow has black.
fn color(palette: &[u8], index: u8) -> [u8; 3] {
    let at = usize::from(index) * 3;
    palette.get(at..at + 3).map_or([0; 3], |color| [color[0], color[1], color[2]])
}

/// The file with a palette of grays where it has none for all frames: what Pillow takes then.
fn with_palette(bytes: &[u8]) -> Cow<'_, [u8]> {
    match bytes.get(..13) {
        Some(head) if head[10] & 0x80 == 0 => {
            let grays: Vec<u8> = (0..=255).flat_map(|v| [v; 3]).collect();
            let flags = head[10] | 0x87;
            [&head[..10], &[flags], &head[11..], &grays, &bytes[13..]].concat().into()
        }
        _ => bytes.into(),
    }
}

/// A palette whose colors are their own numbers; Pillow opens such a file as grays.
fn is_gray(palette: &[u8]) -> bool {
    palette.chunks_exact(3).enumerate().all(|(i, c)| c.iter().all(|&v| usize::from(v) == i))
}

fn fault(error: DecodingError) -> ImageError {
    match error {
        DecodingError::Io(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            ImageError::Truncated
        }
        other => ImageError::Damaged(other.to_string()),
    }
}
