//! The pixels of a pool's pictures.

use std::ops::Range;

use curate_core::{EmbeddingSource, SourceError};
use curate_dfn::{
    Transform,
    config::{PreprocessConfig, ResizeMode},
};
use curate_io::Pool;
use rayon::prelude::*;

/// A pool's pictures as rows of `3 x side x side` numbers, decoded when they are read; a picture that is not
/// there or cannot be decoded is NaN.
pub(crate) struct Pixels<'a> {
    pool: &'a Pool,
    transform: Transform,
}

impl<'a> Pixels<'a> {
    /// Pictures are squeezed to a square, which loses nothing at their rims.
    pub(crate) fn new(pool: &'a Pool, side: usize) -> Self {
        let config =
            PreprocessConfig { resize_mode: ResizeMode::Squash, ..PreprocessConfig::default() };
        Self { pool, transform: Transform::new(&config, side) }
    }
}

impl EmbeddingSource for Pixels<'_> {
    fn rows(&self) -> usize {
        self.pool.len()
    }

    fn dim(&self) -> usize {
        self.transform.len()
    }

    fn read(&self, rows: Range<usize>, out: &mut [f32]) -> Result<(), SourceError> {
        self.gather(&rows.collect::<Vec<_>>(), out)
    }

    fn gather(&self, rows: &[usize], out: &mut [f32]) -> Result<(), SourceError> {
        let samples = self.pool.samples_with_images(rows)?;
        let pictures = samples.par_iter().zip(out.par_chunks_exact_mut(self.transform.len()));
        pictures.for_each(|(sample, out)| {
            match sample.image.as_ref().and_then(|file| self.transform.apply(file).ok()) {
                Some(pixels) => out.copy_from_slice(&pixels),
                None => out.fill(f32::NAN),
            }
        });
        Ok(())
    }
}
