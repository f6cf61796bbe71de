//! HDF5 files (feature `hdf5`): every dataset of two axes and floats is an embedding, under its path.
//! Writes one and reads it in blocks.

use std::error::Error;

use curate_core::{EmbeddingSource, NoProgress};
use curate_io::{Format, Pool, PoolOptions, hdf5_file::write_embedding};
use ndarray::array;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let vectors = array![[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]];
    write_embedding(&folder.path().join("pool.h5"), "clip/image", &vectors.view())?;

    let pool = Pool::open(folder.path(), PoolOptions::default(), &NoProgress)?;
    assert_eq!((pool.format(), pool.len()), (Format::Hdf5, 3));
    assert_eq!(pool.embedding_names()?, ["clip/image"]);

    let images = pool.embedding("clip/image")?;
    let mut rows = vec![0.0; 2 * images.dim()];
    images.read(1..3, &mut rows)?;
    assert_eq!(rows, [0.0, 1.0, 0.6, 0.8]);
    Ok(())
}

#[test]
fn runs() {
    main().expect("the example runs");
}
