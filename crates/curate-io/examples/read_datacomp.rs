//! DataComp's layout: `metadata/NAME.parquet` beside `NAME.npz`. Writes a pool of three rows and reads
//! its scores, captions and embeddings.

use std::error::Error;

use curate_core::{EmbeddingSource, NoProgress, ScoreColumn};
use curate_io::{
    Format, Pool, PoolOptions,
    npy::Precision,
    npz::NpzWriter,
    table::{self, Column},
};
use ndarray::array;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let metadata = folder.path().join("metadata");
    let text = |values: [&str; 3]| Column::Text(values.map(str::to_owned).to_vec());
    let columns = vec![
        ("uid", text(["0a", "0b", "0c"])),
        ("text", text(["a cat", "a dog", "a boat"])),
        ("clip_l14_similarity_score", Column::F32(vec![0.31, 0.12, 0.27])),
    ];
    table::write(&metadata.join("00000.parquet"), columns)?;
    let mut npz = NpzWriter::create(&metadata.join("00000.npz"))?;
    npz.add("l14_img", array![[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]].view(), Precision::F16)?;
    npz.finish()?;

    // The layout is told from the files; every later line is the same for every layout.
    let pool = Pool::open(folder.path(), PoolOptions::default(), &NoProgress)?;
    assert_eq!((pool.format(), pool.len()), (Format::Datacomp, 3));

    let scores = pool.column("clip_l14_similarity_score")?;
    // In the precision of the file, in which thresholds are compared with it.
    assert_eq!(scores, ScoreColumn::Single(vec![0.31, 0.12, 0.27]));

    let captions = pool.labels("text")?;
    assert_eq!(captions[2].as_deref(), Some("a boat"));

    // Rows are read where they lie, only those that are asked for.
    let images = pool.embedding("l14_img")?;
    let mut rows = vec![0.0; 2 * images.dim()];
    images.gather(&[1, 0], &mut rows)?;
    assert_eq!(rows, [0.0, 1.0, 1.0, 0.0]);
    Ok(())
}

#[test]
fn runs() {
    main().expect("the example runs");
}
