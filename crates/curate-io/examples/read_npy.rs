//! Bare npy files, as `numpy.save` writes them: vectors and nothing else. Two files are one pool in
//! the order of their names, and a row's id is its number.

use std::error::Error;

use curate_core::{EmbeddingSource, NoProgress, SampleId};
use curate_io::{
    Format, Pool, PoolOptions,
    npy::{self, Precision},
};
use ndarray::array;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let first = array![[1.0, 0.0], [0.0, 1.0]];
    npy::write(&folder.path().join("a.npy"), first.view(), Precision::F32)?;
    // Half precision beside single is fine: rows are read as f32.
    npy::write(&folder.path().join("b.npy"), array![[0.5, 0.25]].view(), Precision::F16)?;

    let pool = Pool::open(folder.path(), PoolOptions::default(), &NoProgress)?;
    assert_eq!((pool.format(), pool.len()), (Format::Npy, 3));
    assert_eq!(pool.ids()[2], SampleId(2));

    let vectors = pool.embedding("embedding")?;
    let mut last = [0.0; 2];
    vectors.read(2..3, &mut last)?;
    assert_eq!(last, [0.5, 0.25]);
    Ok(())
}

#[test]
fn runs() {
    main().expect("the example runs");
}
