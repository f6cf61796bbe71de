//! Which format a file has, by its first bytes.

use image::ImageFormat;

use super::types::ImageError;

/// Formats that Pillow or browsers open and this program does not: where their mark is, the mark,
/// their name.
const OTHERS: [(usize, &[u8], &str); 33] = [
    (4, b"ftypavi", "an AVIF file"),
    (4, b"ftyphe", "an HEIC file"),
    (4, b"ftypmif1", "an HEIF file"),
    (4, b"ftypmsf1", "an HEIF file"),
    (4, b"ftyp", "a video or audio file (MP4 and its kin)"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 file"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 file"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL file"),
    (0, b"\xff\x0a", "a JPEG XL file"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"%PDF", "a PDF file"),
    (0, b"<svg", "an SVG file"),
    (0, b"DDS ", "a DDS file"),
    (0, b"qoif", "a QOI file"),
    (0, b"\x01\xda", "an SGI file"),
    (0, b"icns", "an ICNS file"),
    (0, b"#?RADIANCE", "a Radiance HDR file"),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR file"),
    (0, b"BLP", "a BLP file"),
    (0, b"%!PS", "an EPS file"),
    (0, b"\xc5\xd0\xd3\xc6", "an EPS file"),
    (0, b"\x28\0\0\0", "a DIB file"),
    (0, b"\x0a\x02\x01", "a PCX file"),
    (0, b"\x0a\x03\x01", "a PCX file"),
    (0, b"\x0a\x05\x01", "a PCX file"),
    (0, b"Image type:", "an IM file"),
    (0, b"DanM", "an MSP file"),
    (0, b"LinS", "an MSP file"),
    (0, b"PF\n", "a PFM file"),
    (0, b"Pf\n", "a PFM file"),
    (0, b"P7\n", "a PAM file"),
    (0, b"#define ", "an XBM file"),
    (0, b"\x1f\x8b", "a gzip file"),
];

/// The format of a file that is read.
pub(super) fn format(bytes: &[u8]) -> Result<ImageFormat, ImageError> {
    use ImageFormat::{Bmp, Gif, Ico, Jpeg, Png, Pnm, Tiff, WebP};
    match image::guess_format(bytes) {
        Ok(format @ (Bmp | Gif | Ico | Jpeg | Png | Tiff | WebP)) => Ok(format),
        // "P1" is also how a text can begin.
        Ok(Pnm) if bytes.get(2).is_some_and(u8::is_ascii_whitespace) => Ok(Pnm),
        _ => Err(unknown(bytes)),
    }
}

fn unknown(bytes: &[u8]) -> ImageError {
    let marked = OTHERS
        .iter()
        .find(|(at, mark, _)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(mark)));
    match marked {
        Some((.., name)) => ImageError::Unsupported((*name).to_owned()),
        None if bytes.ends_with(b"TRUEVISION-XFILE.\0") => {
            ImageError::Unsupported("a TGA file".to_owned())
        }
        None => ImageError::UnknownFormat,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_are_not_read_are_named() {
        for (start, name) in [
            (&b"\0\0\0\x1cftypavif\0\0\0\0"[..], "an AVIF file"),
            (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 file"),
            (b"BLP2\x01\0\0\0", "a BLP file"),
            (b"%!PS-Adobe-3.0 EPSF-3.0\n", "an EPS file"),
            (b"\x28\0\0\0\x28\0\0\0", "a DIB file"),
            (b"\x0a\x05\x01\x08", "a PCX file"),
            (b"Image type: RGB image\r\n", "an IM file"),
            (b"#define im_width 40\n", "an XBM file"),
            (b"Pf\n40 40\n", "a PFM file"),
        ] {
            assert_eq!(format(start), Err(ImageError::Unsupported(name.to_owned())));
        }
        assert_eq!(format(b"a text"), Err(ImageError::UnknownFormat));
    }
}
