//! What Pillow rounds in another way in BMP files.

/// Colors of 5 or 6 bits, which the decoder rounded to the nearest byte and Pillow rounds down.
pub(super) fn round_down(file: &[u8], rgb: &mut [u8]) {
    let number = |at: usize, size: usize| {
        let bytes = file.get(at..at + size).unwrap_or_default();
        bytes.iter().rev().fold(0u32, |sum, &b| sum << 8 | u32::from(b))
    };
    // The header of Windows: bits a pixel, and whether masks follow.
    if number(14, 4) < 40 || number(28, 2) != 16 {
        return;
    }
    let has_six_bits_of_green = number(30, 4) == 3 && number(58, 4) == 0x7e0;
    let most = if has_six_bits_of_green { [31, 63, 31] } else { [31, 31, 31] };
    for pixel in rgb.chunks_exact_mut(3) {
        for (value, most) in pixel.iter_mut().zip(most) {
            let sample = (u32::from(*value) * most + 127) / 255;
            *value = (sample * 255 / most) as u8;
        }
    }
}
