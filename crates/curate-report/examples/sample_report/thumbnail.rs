//! Generated images, so that the example needs no files.

/// The finalizer of MurmurHash3.
pub(crate) fn hash(mut x: u64) -> u64 {
    x = (x ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(0xff51_afd7_ed55_8ccd);
    x = (x ^ x >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ x >> 33
}

/// A shape of 64 by 64 pixels as an uncompressed PNG.
pub(crate) fn thumbnail(seed: u64) -> Vec<u8> {
    let [r, g, b, dx, dy, ..] = hash(seed / 3).to_le_bytes();
    let (cx, cy) = (24 + i32::from(dx % 16), 24 + i32::from(dy % 16));
    let mut pixels = Vec::new();
    for y in 0..64_i32 {
        pixels.push(0);
        for x in 0..64_i32 {
            let (x, y) = ((x - cx).abs(), (y - cy).abs());
            let inside = match seed % 3 {
                0 => x * x + y * y < 320,
                1 => x.max(y) < 16,
                _ => x.min(y) < 5 && x.max(y) < 18,
            };
            pixels.extend(if inside { [r, g, b] } else { [230 - r / 6, 232 - b / 8, 240 - g / 6] });
        }
    }
    png(&pixels)
}

fn png(pixels: &[u8]) -> Vec<u8> {
    let (low, high) = pixels.iter().fold((1_u32, 0), |(low, high), &byte| {
        let low = (low + u32::from(byte)) % 65521;
        (low, (high + low) % 65521)
    });
    let length = pixels.len() as u16;
    let mut stored = vec![0x78, 0x01, 0x01];
    stored.extend([length.to_le_bytes(), (!length).to_le_bytes()].concat());
    stored.extend_from_slice(pixels);
    stored.extend((high << 16 | low).to_be_bytes());
    let header = [0, 0, 0, 64, 0, 0, 0, 64, 8, 2, 0, 0, 0];
    let chunks = [chunk(b"IHDR", &header), chunk(b"IDAT", &stored), chunk(b"IEND", &[])];
    [b"\x89PNG\r\n\x1a\n".to_vec(), chunks.concat()].concat()
}

fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [name, data].concat();
    let crc = !body.iter().fold(!0_u32, |crc, &byte| {
        let shift = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        (0..8).fold(crc ^ u32::from(byte), shift)
    });
    [&(data.len() as u32).to_be_bytes()[..], &body, &crc.to_be_bytes()].concat()
}
