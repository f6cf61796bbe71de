//! Windows icons, of which Pillow opens the largest image.

/// The PNG file that the largest image of an icon is; `None` where that is a bitmap or there is none.
///
/// Of several that are as large, Pillow takes the one of the fewest bits a pixel.
pub(super) fn largest_png(bytes: &[u8]) -> Option<&[u8]> {
    let number = |at: usize, len: usize| -> Option<usize> {
        let bytes = bytes.get(at..at + len)?;
        Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | usize::from(byte)))
    };
    let entries = (0..number(4, 2)?).filter_map(|entry| {
        let at = 6 + 16 * entry;
        // A side of 0 is one of 256.
        let side = |at| number(at, 1).map(|side| if side == 0 { 256 } else { side });
        let (square, bits) = (side(at)? * side(at + 1)?, number(at + 6, 2)?);
        Some((square, bits, number(at + 8, 4)?, number(at + 12, 4)?))
    });
    // The first of those that are alike, as a stable sort has it.
    let best = entries.reduce(|best, entry| {
        let is_better = entry.0 > best.0 || (entry.0 == best.0 && entry.1 < best.1);
        if is_better { entry } else { best }
    });
    let (.., len, start) = best?;
    let file = bytes.get(start..start.checked_add(len)?.min(bytes.len()))?;
    file.starts_with(b"\x89PNG\r\n\x1a\n").then_some(file)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat};

    use crate::image::{Decoded, Limits, decode};

    fn png(image: &DynamicImage) -> Vec<u8> {
        let mut file = Cursor::new(vec![]);
        image.write_to(&mut file, ImageFormat::Png).unwrap();
        file.into_inner()
    }

    /// An icon of these images: side, bits a pixel, file.
    fn icon(images: &[(u8, u8, &[u8])]) -> Vec<u8> {
        let mut file = vec![0, 0, 1, 0, images.len() as u8, 0];
        let mut at = 6 + 16 * images.len() as u32;
        for (side, bits, image) in images {
            file.extend([*side, *side, 0, 0, 1, 0, *bits, 0]);
            file.extend((image.len() as u32).to_le_bytes());
            file.extend(at.to_le_bytes());
            at += image.len() as u32;
        }
        images.iter().for_each(|(.., image)| file.extend_from_slice(image));
        file
    }

    fn decoded(file: &[u8]) -> Decoded {
        decode(file, Limits::default()).unwrap()
    }

    /// As Pillow writes the icon of an image without alpha.
    #[test]
    fn images_without_alpha_are_read() {
        let pixels = |step: u8| (0..3 * 4).map(|i| i * step).collect::<Vec<u8>>();
        let colors = |step| image::RgbImage::from_raw(2, 2, pixels(step)).unwrap().into();
        let (small, large) = (png(&colors(3)), png(&colors(20)));
        assert_eq!(decoded(&icon(&[(2, 24, &large)])), decoded(&large));
        assert_eq!(decoded(&icon(&[(2, 32, &small), (0, 32, &large)])), decoded(&large));
        assert_eq!(decoded(&icon(&[(2, 32, &small), (2, 24, &large)])), decoded(&large));
        let gray = png(&image::GrayImage::from_raw(2, 2, vec![1, 2, 3, 4]).unwrap().into());
        assert_eq!(decoded(&icon(&[(2, 8, &gray)])), decoded(&gray));
        for end in 0..60 {
            let _ = decode(&icon(&[(2, 24, &large)])[..end], Limits::default());
        }
    }
}
