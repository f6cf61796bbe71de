//! Pools whose parts differ as those of other writers do.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::path::{Path, PathBuf};

use common::{complaint, open};
use curate_core::{EmbeddingSource, NoProgress, fault::Fault};
use curate_io::{
    Pool, PoolOptions,
    ids::id_of_text,
    pool::{BadShards, Format},
};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mixed").join(name)
}

fn numbers(pool: &Pool, name: &str) -> Vec<f32> {
    let rows = pool.embedding(name).unwrap();
    let mut out = vec![0.0; rows.rows() * rows.dim()];
    rows.read(0..rows.rows(), &mut out).unwrap();
    out
}

fn refused(pool: &Pool, name: &str) -> String {
    pool.embedding(name).unwrap_err().to_string()
}

#[test]
fn parts_without_a_value_have_gaps_and_keep_the_pool() {
    let pool = open(&data("nulls")).unwrap();
    assert_eq!((pool.len(), pool.shards().len()), (4, 3));
    assert_eq!(pool.faults(), [(2, Fault::CaptionMissing), (3, Fault::CaptionMissing)]);
    let score = pool.column("score").unwrap().to_vec();
    assert_eq!(score[..2], [0.5, 0.25]);
    assert!(score[2..].iter().all(|x| x.is_nan()));
    // A name with a dot is a name.
    assert_eq!(pool.column("clip.l14").unwrap().to_vec(), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(pool.numeric_columns().unwrap(), ["score", "clip.l14"]);
    let vectors = numbers(&pool, "emb");
    assert_eq!(vectors[..4], [1.0, 0.0, 0.0, 1.0]);
    assert!(vectors[4..].iter().all(|x| x.is_nan()));
}

#[test]
fn columns_that_nobody_asks_for_are_in_nobodys_way() {
    let pool = open(&data("twice")).unwrap();
    assert_eq!((pool.len(), pool.numeric_columns().unwrap().len()), (1, 0));
    assert_eq!(pool.samples(&[0]).unwrap()[0].caption.as_deref(), Some("a text"));
    let error = pool.column("twice").unwrap_err().to_string();
    assert!(error.contains("a.parquet: has 2 columns of the name `twice`; write"), "{error}");
    let error = complaint(&data("text"));
    assert!(
        error.contains("column `text` holds Int64, not text; name a column of text"),
        "{error}"
    );
    let pool = open(&data("boxes")).unwrap();
    assert_eq!(pool.embedding_names().unwrap(), [""; 0]);
    assert_eq!(numbers(&pool, "tokens"), [1.0, 2.0, 3.0, 4.0]);
    let boxes = numbers(&pool, "face_bboxes");
    assert!(boxes[..4] == [0.0, 0.5, 1.0, 1.0] && boxes[4..].iter().all(|x| x.is_nan()));
    let label =
        |field| pool.labels(field).unwrap().into_iter().map(Option::unwrap).collect::<Vec<_>>();
    assert_eq!(
        (label("source"), label("kind")),
        (vec!["3".into(), "7".into()], vec!["news".into(), "fffe".into()])
    );
    assert_eq!(pool.labels("nothing").unwrap(), [None, None]);
    let error = pool.labels("tokens").unwrap_err().to_string();
    assert!(
        error.contains("column `tokens` holds List(Int64, field: 'element'), not text or whole"),
        "{error}"
    );
}

#[test]
fn a_subset_names_its_ids_in_bytes_too() {
    let scores =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../curate-baselines/tests/data/scores");
    let ids = |name: &str| {
        let file = scores.join(name).join("metadata/0.parquet");
        curate_io::subset::read(&file).unwrap()
    };
    for name in ["raw", "fixed", "ascii", "large", "view", "dictionary_ids"] {
        assert_eq!(ids(name), ids("double"), "{name}");
    }
}

#[test]
fn what_lies_beside_the_tables_of_an_npz_file_is_an_error_for_those_who_ask_for_it() {
    let pool = open(&data("npz")).unwrap();
    assert_eq!(pool.embedding_names().unwrap(), ["big", "img", "whole"]);
    for name in ["big", "img", "whole"] {
        assert_eq!(numbers(&pool, name), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "{name}");
    }
    for (name, words) in [
        ("ids", "array `ids` has the shape (3,); a table of vectors has two axes; name an array"),
        ("scale", "array `scale` has the shape ()"),
        ("names", "array `names` has the shape (3,)"),
        ("cube", "array `cube` has the shape (3, 2, 2)"),
        ("objects", "array `objects` has the element type '|O'; save it as float16"),
        ("imgs", "has no array `imgs`; it has `big`, `img`, `whole`"),
    ] {
        assert!(refused(&pool, name).contains(words), "{}", refused(&pool, name));
    }
}

#[test]
fn clip_retrieval_rows_are_named_by_whole_numbers_too() {
    let pool = open(&data("clip/whole")).unwrap();
    assert_eq!((pool.format(), pool.len()), (Format::ClipRetrieval, 4));
    assert_eq!(pool.ids()[3], id_of_text("3"));
    assert_eq!(pool.embedding_names().unwrap(), ["img_emb", "text_emb"]);
    let error = complaint(&data("clip/odd_keys"));
    assert!(
        error.contains("column `key` holds List(Float64, field: 'element'), not text or whole"),
        "{error}"
    );
}

#[test]
fn clip_retrieval_parts_that_were_lost_are_named() {
    for (name, file) in [
        ("no_metadata", "metadata_1.parquet: does not exist"),
        ("no_image", "img_emb_1.npy: does not exist"),
    ] {
        let error = complaint(&data("clip").join(name));
        assert!(error.contains(file), "{error}");
        let skip = PoolOptions { bad_shards: BadShards::Skip, ..PoolOptions::default() };
        let pool = Pool::open(&data("clip").join(name), skip, &NoProgress).unwrap();
        assert_eq!((pool.len(), pool.skipped().len()), (2, 1), "{name}");
    }
    let pool = open(&data("clip/no_text")).unwrap();
    assert_eq!(numbers(&pool, "img_emb").len(), 8);
    let error = refused(&pool, "text_emb");
    assert!(error.contains("text_emb_1.npy: does not exist"), "{error}");
}
