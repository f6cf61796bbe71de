//! JSON lines: an object for every row, with embeddings in `NAME.npz` or `NAME.npy` beside
//! `NAME.jsonl`. Also shows what becomes of rows that cannot be used.

use std::{error::Error, fs};

use curate_core::{EmbeddingSource, NoProgress, fault::Fault};
use curate_io::{
    Format, Pool, PoolOptions,
    npy::{self, Precision},
};
use ndarray::array;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let lines = r#"{"uid": "0a", "caption": "a cat", "score": 0.31}
{"uid": "not hexadecimal", "caption": "a dog", "score": 0.12}
{"uid": "0c", "score": 0.27}
"#;
    fs::write(folder.path().join("rows.jsonl"), lines)?;
    let vectors = array![[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]];
    npy::write(&folder.path().join("rows.npy"), vectors.view(), Precision::F32)?;

    let pool = Pool::open(folder.path(), PoolOptions::default(), &NoProgress)?;
    assert_eq!((pool.format(), pool.len()), (Format::Jsonl, 3));
    assert_eq!(pool.column("score")?.to_vec(), [0.31, 0.12, 0.27]);
    assert_eq!(pool.embedding("embedding")?.rows(), 3);

    // Rows that cannot be used stay in their place and are named, so that no other row moves.
    let faults = [(1, Fault::MalformedId), (2, Fault::CaptionMissing)];
    assert_eq!(pool.faults(), faults);
    Ok(())
}

#[test]
fn runs() {
    main().expect("the example runs");
}
