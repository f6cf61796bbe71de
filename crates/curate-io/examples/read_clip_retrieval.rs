//! clip-retrieval's folders: `img_emb/img_emb_0.npy`, `text_emb/text_emb_0.npy` and
//! `metadata/metadata_0.parquet`. Writes two parts of one row each and reads them as one pool.

use std::error::Error;

use curate_core::{EmbeddingSource, NoProgress};
use curate_io::{
    Format, Pool, PoolOptions,
    npy::{self, Precision},
    table::{self, Column},
};
use ndarray::array;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let parts = [(0, "a.jpg", "a cat", [1.0, 0.0]), (1, "b.jpg", "a dog", [0.0, 1.0])];
    for (number, path, caption, vector) in parts {
        let at = |name: &str, ending: &str| {
            folder.path().join(name).join(format!("{name}_{number}.{ending}"))
        };
        let [x, y] = vector;
        npy::write(&at("img_emb", "npy"), array![[x, y]].view(), Precision::F16)?;
        npy::write(&at("text_emb", "npy"), array![[y, x]].view(), Precision::F16)?;
        let columns = vec![
            ("image_path", Column::Text(vec![path.to_owned()])),
            ("caption", Column::Text(vec![caption.to_owned()])),
        ];
        table::write(&at("metadata", "parquet"), columns)?;
    }

    let pool = Pool::open(folder.path(), PoolOptions::default(), &NoProgress)?;
    assert_eq!((pool.format(), pool.len()), (Format::ClipRetrieval, 2));
    assert_eq!(pool.embedding_names()?, ["img_emb", "text_emb"]);

    let texts = pool.embedding("text_emb")?;
    let mut second = [0.0; 2];
    texts.read(1..2, &mut second)?;
    assert_eq!(second, [1.0, 0.0]);
    assert_eq!(pool.samples(&[1])?[0].caption.as_deref(), Some("a dog"));
    Ok(())
}

#[test]
fn runs() {
    main().expect("the example runs");
}
