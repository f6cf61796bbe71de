//! What Pillow passes over in PNG files.

use std::borrow::Cow;

use super::types::Mode;

const END: &[u8] = b"\0\0\0\0IEND\xae\x42\x60\x82";

/// The file with an end where it has none: Pillow needs none once the image is there.
pub(super) fn with_end(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut at = 8;
    let mut has_data = false;
    while let Some((name, next)) = chunk(bytes, at) {
        if name == b"IEND" {
            return bytes.into();
        }
        has_data |= name == b"IDAT";
        at = next;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    if rest.len() > 8 && rest[4..8] == *b"IDAT" {
        return [&bytes[..at], &data_chunk(rest), END].concat().into();
    }
    // Less than the head of a chunk, or the chunk that says that this is the end.
    let ends = rest.get(4..8).is_none_or(|name| name == b"IEND" || !is_name(name));
    match has_data && ends {
        true => [&bytes[..at], END].concat().into(),
        false => bytes.into(),
    }
}

/// Data of the image that were cut off, as a chunk of what there is; all pixels may be in it.
fn data_chunk(rest: &[u8]) -> Vec<u8> {
    let declared = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
    let body = &rest[4..rest.len().min(declared.saturating_add(8))];
    let mut sum = flate2::Crc::new();
    sum.update(body);
    let length = (body.len() as u32 - 4).to_be_bytes();
    [&length, body, &sum.sum().to_be_bytes()].concat()
}

fn is_name(chunk: &[u8]) -> bool {
    chunk.iter().all(u8::is_ascii_alphabetic)
}

/// The name of a chunk that is whole, and where the next one starts.
fn chunk(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let head = bytes.get(at..at + 8)?;
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let next = at.checked_add(length)?.checked_add(12)?;
    (next <= bytes.len()).then_some((&head[4..8], next))
}

/// Width and height, from the header at the start of the file.
pub(super) fn size(bytes: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    Some((number(16)?, number(20)?))
}

/// Whether colors have an alpha of their own. A single transparent color is no alpha in Pillow.
pub(super) fn has_alpha_channel(bytes: &[u8]) -> bool {
    matches!(header(bytes), Some((_, 4 | 6)))
}

/// How Pillow holds an image without alpha.
pub(super) fn mode(bytes: &[u8]) -> Mode {
    match header(bytes) {
        Some((_, 3) | (1, 0)) => Mode::Indexed,
        _ => Mode::Plain,
    }
}

/// Bit depth and color type, from the header at the start of the file.
fn header(bytes: &[u8]) -> Option<(u8, u8)> {
    Some((*bytes.get(24)?, *bytes.get(25)?))
}
