//! Product quantization: a row is cut into parts, and each part is stored as one byte, the number
//! of the nearest of 256 centroids (Jégou et al. 2011; for fastText, arXiv 1612.03651).
//!
//! Every part has its own 256 centroids. All parts have the same width except the last, which takes
//! what is left of the dimension. So the centroids of part `p` begin at `p * 256 * width` whatever
//! the last width is, and only the stride between them changes in the last part.
//!
//! Rows are decoded while they are added or multiplied and never stored: a row is as many look-ups
//! as it has parts, and a decoded model would be as large as the one that was quantized.

use super::source::{FormatError, Source};
use std::io::BufRead;

const CENTROIDS: usize = 256;

pub(super) struct Codebook {
    /// Parts in a row.
    pub(super) parts: usize,
    /// Elements in each part but the last.
    width: usize,
    /// Elements in the last part.
    last_width: usize,
    centroids: Vec<f32>,
}

impl Codebook {
    pub(super) fn read<R: BufRead>(
        source: &mut Source<R>,
        expected_dim: usize,
    ) -> Result<Self, FormatError> {
        let dim = source.size32("quantizer.dim")?;
        if dim != expected_dim {
            let problem = format!("must be {expected_dim}, found {dim}");
            return Err(FormatError::new("quantizer.dim", problem));
        }
        let parts = source.size32("quantizer.nsubq")?;
        let width = source.size32("quantizer.dsub")?;
        let last_width = source.size32("quantizer.lastdsub")?;
        if width == 0 || parts != dim.div_ceil(width) {
            let problem = format!("is {parts} parts of {width}, which do not make {dim} elements");
            return Err(FormatError::new("quantizer.nsubq", problem));
        }
        let expected_last = dim - (parts - 1) * width;
        if last_width != expected_last {
            let problem = format!("must be {expected_last}, found {last_width}");
            return Err(FormatError::new("quantizer.lastdsub", problem));
        }
        source.expect_room("quantizer.centroids", dim as u64, 4 * CENTROIDS as u64)?;
        let centroids = source.floats("quantizer.centroids", dim * CENTROIDS)?;
        Ok(Self { parts, width, last_width, centroids })
    }

    /// The centroid of a part that `code` names.
    pub(super) fn centroid(&self, part: usize, code: u8) -> &[f32] {
        let base = part * CENTROIDS * self.width;
        let width = if part + 1 == self.parts { self.last_width } else { self.width };
        let start = base + usize::from(code) * width;
        &self.centroids[start..start + width]
    }

    /// The elements of a row, as the centroids of its codes.
    pub(super) fn decode<'a>(&'a self, codes: &'a [u8]) -> impl Iterator<Item = f32> + 'a {
        codes.iter().enumerate().flat_map(|(part, &code)| self.centroid(part, code)).copied()
    }

    /// Adds a row times `factor` to `sum`. The product is rounded before the sum, as in fastText: a
    /// fused multiply-add would change last bits, and with them ties.
    pub(super) fn add(&self, codes: &[u8], factor: f32, sum: &mut [f32]) {
        for ((part, &code), piece) in codes.iter().enumerate().zip(sum.chunks_mut(self.width)) {
            for (total, &value) in piece.iter_mut().zip(self.centroid(part, code)) {
                *total += factor * value;
            }
        }
    }
}
