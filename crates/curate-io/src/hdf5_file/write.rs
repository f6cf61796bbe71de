//! Selections, embeddings and centroids as datasets of new files.

use std::path::Path;

use curate_core::{BLOCK_ROWS, EmbeddingSource, SampleId, SourceError};
use hdf5::{File, types::FixedAscii};
use ndarray::ArrayView2;

use super::datasets::{CENTROIDS, blocks, first_line};
use crate::{
    atomic::AtomicFile,
    error::{IoError, Kind},
};

/// Writes ids as the dataset `uid`, text of 32 bytes.
pub(crate) fn write_ids(path: &Path, ids: &[SampleId]) -> Result<(), IoError> {
    let text = |id: &SampleId| FixedAscii::<32>::from_ascii(id.to_string().as_bytes());
    let uids: Vec<FixedAscii<32>> =
        ids.iter().map(|id| text(id).expect("an id has 32 digits")).collect();
    write(path, |file| {
        file.new_dataset_builder().with_data(&uids).create("uid")?;
        Ok(())
    })
}

/// Writes an embedding as the dataset `name` of a new file, float32, contiguous, block by
/// block.
///
/// # Errors
/// When the vectors cannot be read, or the bytes do not reach the disk.
pub fn write_embedding(
    path: &Path,
    name: &str,
    source: &dyn EmbeddingSource,
) -> Result<(), SourceError> {
    let mut read = Ok(());
    write(path, |file| {
        let shape = (source.rows(), source.dim());
        let dataset = file.new_dataset::<f32>().shape(shape).create(name)?;
        for range in blocks(source.rows(), BLOCK_ROWS) {
            let mut block = vec![0.0; range.len() * source.dim()];
            read = source.read(range.clone(), &mut block);
            if read.is_err() {
                return Ok(());
            }
            let block = ndarray::ArrayView2::from_shape((range.len(), source.dim()), &block)
                .expect("as many numbers as cells");
            dataset.write_slice(block, (range, ..))?;
        }
        Ok(())
    })?;
    read
}

/// Writes centroids as the dataset `centroids`, float32, contiguous.
pub(crate) fn write_centroids(path: &Path, centroids: ArrayView2<'_, f32>) -> Result<(), IoError> {
    write(path, |file| {
        let centroids = centroids.as_standard_layout();
        file.new_dataset_builder().with_data(&centroids).create(CENTROIDS)?;
        Ok(())
    })
}

/// The library writes to files that it opens by their names. So it is given the name that the file
/// has until it is whole, and a second opening of it is flushed and put in its place.
fn write(path: &Path, fill: impl FnOnce(&File) -> hdf5::Result<()>) -> Result<(), IoError> {
    let whole = AtomicFile::create(path)?;
    let filled = File::create(whole.path()).and_then(|file| {
        fill(&file)?;
        file.close()
    });
    filled.map_err(|e| {
        let problem = format!("could not be written: {}", first_line(&e));
        IoError::new(Kind::Os, path, problem, "")
    })?;
    whole.commit()
}
