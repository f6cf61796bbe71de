//! What the markers of a JPEG file say, read as Pillow reads them.

use crate::image::types::ImageError;

/// Scans of a file, each of which may walk over the whole image. Encoders make about ten; a file
/// with thousands is made to keep its reader busy.
const SCANS: usize = 1000;

/// What the markers before the first scan say.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) width: u16,
    pub(super) height: u16,
    /// Colors a pixel: 1, 3 or 4.
    pub(super) components: u8,
    /// Second byte of the marker that starts the frame: which process coded it.
    process: u8,
    /// Whether a scan has bits or colors of the image alone, so that all are held until the last.
    held: bool,
}

impl Header {
    /// Walks from marker to marker as Pillow does, up to the first scan.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ImageError> {
        let mut header = Self { width: 0, height: 0, components: 0, process: 0, held: false };
        let mut markers = Markers { bytes, at: 2 };
        loop {
            let marker = markers.next()?;
            match marker {
                // Markers without a segment.
                0x01 | 0xc8 | 0xd0..=0xd9 | 0xf0..=0xfd => continue,
                0x02..=0xbf => return Err(damaged(format!("marker {marker:#04x} is unknown"))),
                0xda => {
                    let mut header = header.check()?;
                    let in_scan = bytes.get(markers.at + 2);
                    header.held |= in_scan.is_some_and(|&n| n < header.components);
                    return markers.check_scans().map(|()| header);
                }
                0xc4 | 0xcc => drop(markers.segment()?),
                0xc0..=0xcf => header.frame(marker, markers.segment()?)?,
                _ => drop(markers.segment()?),
            }
        }
    }

    /// Bytes that a pixel takes while it is decoded: its samples, where they are held those of the
    /// transform of 16 bits, and its colors.
    pub(super) fn bytes_a_pixel(&self) -> u64 {
        let samples = u64::from(self.components) * if self.held { 3 } else { 1 };
        samples + if self.components == 3 { 0 } else { 3 }
    }

    fn frame(&mut self, marker: u8, body: &[u8]) -> Result<(), ImageError> {
        let [bits, h1, h0, w1, w0, components, ..] = *body else {
            return Err(damaged("the start of the frame is too short".into()));
        };
        if bits != 8 {
            return Err(ImageError::Unsupported(format!("a JPEG file of {bits} bits a sample")));
        }
        self.process = marker;
        self.held = matches!(marker, 0xc2 | 0xca);
        (self.width, self.height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
        self.components = components;
        Ok(())
    }

    fn check(self) -> Result<Self, ImageError> {
        match self.process {
            0 => return Err(damaged("a scan starts before the frame".into())),
            0xc3 | 0xc7 | 0xcb | 0xcf => {
                return Err(ImageError::Unsupported("a lossless JPEG file".into()));
            }
            0xc5 | 0xc6 | 0xcd | 0xce => {
                return Err(ImageError::Unsupported("a hierarchical JPEG file".into()));
            }
            _ => {}
        }
        match self.components {
            1 | 3 | 4 => Ok(self),
            n => Err(ImageError::Unsupported(format!("a JPEG file of {n} components"))),
        }
    }
}

/// Markers one after another.
struct Markers<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Markers<'a> {
    /// Second byte of the next marker; what lies before it is skipped.
    fn next(&mut self) -> Result<u8, ImageError> {
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let start = rest.iter().position(|&b| b == 0xff).ok_or(ImageError::Truncated)?;
            let fill = rest[start..].iter().take_while(|&&b| b == 0xff).count();
            let marker = *rest.get(start + fill).ok_or(ImageError::Truncated)?;
            self.at += start + fill + 1;
            // A byte of 255 in the data of a scan is followed by a 0.
            if marker != 0 {
                return Ok(marker);
            }
        }
    }

    /// Counts the scans from the first on, whose marker was the last.
    fn check_scans(&mut self) -> Result<(), ImageError> {
        for _ in 0..SCANS {
            let next = loop {
                // What is cut off is found where the pixels are read.
                match self.next() {
                    Ok(marker @ (0xd9 | 0xda)) => break marker,
                    Ok(_) => {}
                    Err(_) => return Ok(()),
                }
            };
            if next == 0xd9 {
                return Ok(());
            }
        }
        Err(damaged(format!("more than {SCANS} scans")))
    }

    fn segment(&mut self) -> Result<&'a [u8], ImageError> {
        let length = self.bytes.get(self.at..self.at + 2).ok_or(ImageError::Truncated)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let end = self.at + length;
        if length < 2 {
            return Err(damaged("a segment is shorter than its own length".into()));
        }
        let body = self.bytes.get(self.at + 2..end).ok_or(ImageError::Truncated)?;
        self.at = end;
        Ok(body)
    }
}

fn damaged(problem: String) -> ImageError {
    ImageError::Damaged(problem)
}
