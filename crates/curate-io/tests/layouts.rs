//! Pools in every layout, written by numpy, pyarrow and h5py (`data/make_pools.py`).

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{fs, path::PathBuf};

use common::{complaint, open};
use curate_core::{EmbeddingSource, SampleId, fault::Fault};
use curate_io::{Embedding, Pool, pool::Format, vectors::StoredArray};

fn data(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "data", "pools", name].iter().collect()
}

fn numbers(embedding: &Embedding) -> Vec<f32> {
    let mut out = vec![0.0; embedding.rows() * embedding.dim()];
    embedding.read(0..embedding.rows(), &mut out).unwrap();
    out
}

fn expected() -> Vec<f32> {
    numbers(&Embedding::new(vec![StoredArray::open_npy(&data("expected.npy")).unwrap()]).unwrap())
}

fn uids() -> Vec<SampleId> {
    let text = fs::read_to_string(data("uids.txt")).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// The embedding holds the expected numbers times a factor, in blocks and row by row.
fn check(pool: &Pool, name: &str, factor: f32) {
    let embedding = pool.embedding(name).unwrap();
    let expected: Vec<f32> = expected().iter().map(|x| x * factor).collect();
    assert_eq!((embedding.rows(), embedding.dim()), (10, 4), "{name}");
    assert_eq!(numbers(&embedding), expected, "{name}");
    let mut out = vec![0.0; 8];
    embedding.gather(&[9, 2], &mut out).unwrap();
    assert_eq!(out, [&expected[36..40], &expected[8..12]].concat(), "{name}");
}

#[test]
fn npy_files_of_every_version_and_float_are_one_pool() {
    let pool = open(&data("npy")).unwrap();
    assert_eq!((pool.format(), pool.len(), pool.shards().len()), (Format::Npy, 10, 3));
    assert_eq!(pool.embedding_names().unwrap(), ["embedding"]);
    check(&pool, "embedding", 1.0);
    // Without names the ids are the numbers of the rows.
    assert_eq!(pool.ids()[7], SampleId(7));
    assert_eq!(pool.faults(), []);
    assert_eq!(pool.samples_with_images(&[7]).unwrap()[0].shard, "c");
    assert_eq!(open(&data("npy").join("b.npy")).unwrap().len(), 4);
}

#[test]
fn arrays_of_any_order_of_bytes_and_axes_are_read() {
    for name in ["fortran", "big_endian"] {
        let pool = open(&data("orders").join(format!("{name}.npy"))).unwrap();
        check(&pool, "embedding", 1.0);
    }
    let whole = open(&data("orders/integers.npy")).unwrap().embedding("embedding").unwrap();
    assert_eq!(numbers(&whole), expected().iter().map(|x| x.trunc() + 0.0).collect::<Vec<_>>());
}

#[test]
fn arrays_that_are_no_tables_of_numbers_are_refused_by_name() {
    let cases = [
        ("objects", "has the element type '|O'; save it as float16"),
        ("cube", "has the shape (10, 2, 2); a table of vectors has two axes"),
    ];
    for (name, expected) in cases {
        let said = complaint(&data("refused").join(format!("{name}.npy")));
        assert!(said.contains(expected) && said.contains(name), "{said}");
    }
}

#[test]
fn clip_retrieval_folders_are_joined_in_the_order_of_their_numbers() {
    let pool = open(&data("clip_retrieval")).unwrap();
    assert_eq!(pool.format(), Format::ClipRetrieval);
    assert_eq!(pool.embedding_names().unwrap(), ["img_emb", "text_emb"]);
    check(&pool, "img_emb", 1.0);
    check(&pool, "text_emb", -1.0);
    // Paths of 32 hexadecimal digits are ids.
    assert_eq!(pool.ids(), uids());
    assert_eq!(pool.samples(&[8]).unwrap()[0].caption.as_deref(), Some("caption 8"));
    let names: Vec<_> = pool.shards()[0].files.iter().map(|f| f.file_name().unwrap()).collect();
    assert_eq!(names, ["img_emb_2.npy", "text_emb_2.npy", "metadata_2.parquet"]);
    let error = pool.embedding("b32_img").unwrap_err().to_string();
    assert!(error.contains("has no array `b32_img`; it has `img_emb`, `text_emb`"), "{error}");
}

#[test]
fn clip_retrieval_parts_that_do_not_fit_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["img_emb", "metadata"] {
        fs::create_dir(folder.path().join(part)).unwrap();
    }
    let copy = |from: &str, to: &str| {
        fs::copy(data("clip_retrieval").join(from), folder.path().join(to)).unwrap();
    };
    copy("img_emb/img_emb_2.npy", "img_emb/img_emb_0.npy");
    assert_eq!(open(folder.path()).unwrap().ids()[3], SampleId(3), "no metadata, no names");
    copy("metadata/metadata_10.parquet", "metadata/metadata_0.parquet");
    let said = complaint(folder.path());
    assert!(said.contains("metadata_0.parquet: has 4 rows, but"), "{said}");
}

#[test]
fn parquet_columns_of_vectors_are_embeddings() {
    for kind in ["f2", "f4", "f8"] {
        let pool = open(&data("parquet").join(kind)).unwrap();
        assert_eq!(pool.format(), Format::Datacomp);
        assert_eq!(pool.embedding_names().unwrap(), ["fixed", "large", "list"], "{kind}");
        for name in ["fixed", "large", "list"] {
            check(&pool, name, 1.0);
        }
        assert_eq!(pool.ids(), uids());
        assert_eq!(pool.numeric_columns().unwrap(), ["score"]);
    }
    let gaps = open(&data("parquet/gaps")).unwrap();
    for name in ["fixed", "list"] {
        let found = numbers(&gaps.embedding(name).unwrap());
        assert!(found[..4].iter().chain(&found[36..]).all(|x| x.is_nan()), "{name}");
        assert_eq!(found[4..36], expected()[4..36], "{name}");
    }
    // One list that is too short is one row that cannot be used.
    let ragged = numbers(&open(&data("parquet/ragged")).unwrap().embedding("list").unwrap());
    assert!(ragged[20..24].iter().all(|x| x.is_nan()));
    assert_eq!((&ragged[..20], &ragged[24..]), (&expected()[..20], &expected()[24..]));
}

#[test]
fn json_lines_stand_beside_npz_and_npy() {
    let pool = open(&data("jsonl")).unwrap();
    assert_eq!((pool.format(), pool.ids()), (Format::Jsonl, &uids()[..]));
    assert_eq!(pool.embedding_names().unwrap(), ["embedding", "img", "txt"]);
    check(&pool, "img", 1.0);
    check(&pool, "txt", -1.0);
    check(&pool, "embedding", 2.0);
    assert_eq!(pool.numeric_columns().unwrap(), ["score"]);
    assert_eq!(pool.column("score").unwrap().get(8), 1.0);
    assert_eq!(pool.labels("text").unwrap()[2].as_deref(), Some("caption 2"));
    assert_eq!(pool.samples(&[4, 1]).unwrap()[0].caption.as_deref(), Some("caption 4"));
    let error = pool.column("scores").unwrap_err().to_string();
    assert!(error.contains("a.jsonl: has no numbers `scores`; it has `score`"), "{error}");
}

#[test]
fn bad_json_lines_are_faults_or_name_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let lines =
        "{\"uid\": \"1\", \"caption\": \"x\"}\n\n{\"uid\": [2], \"text\": \"x\"}\n{\"uid\": \"3\"}";
    fs::write(&path, lines).unwrap();
    let pool = open(&path).unwrap();
    assert_eq!((pool.len(), pool.ids()[2]), (3, SampleId(3)));
    assert_eq!(pool.faults(), [(1, Fault::MalformedId), (2, Fault::CaptionMissing)]);
    let deep = "[".repeat(100_000);
    for bad in ["{\"uid\": \"1\"", "[1]", "\u{0}", &format!("{{\"a\": {deep}")] {
        fs::write(&path, format!("{{\"uid\": \"1\"}}\n{bad}\n")).unwrap();
        let pool = open(&path).unwrap();
        assert_eq!(pool.faults()[1..], [(1, Fault::RecordMalformed)], "{bad:.20}");
        assert!(pool.notes()[0].contains("a.jsonl: line 2 is not"), "{bad:.20}");
    }
    fs::write(&path, "{\"text\": \"x\"}\n{\"text\": \"y\"}\n").unwrap();
    let unnamed = open(&path).unwrap();
    assert_eq!((unnamed.ids(), unnamed.faults().len()), (&[SampleId(0), SampleId(1)][..], 0));
}

mod random_bytes {
    use proptest::{prelude::*, test_runner::RngSeed};

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 48,
            rng_seed: RngSeed::Fixed(7),
            ..ProptestConfig::default()
        })]

        /// Damage anywhere in a file is an error or a pool, never a panic or a huge allocation.
        #[test]
        fn never_panic(at in 0_usize..65_536, byte: u8, cut in 0_usize..65_536) {
            let files = ["npy/b.npy", "parquet/f4/a.parquet", "parquet/gaps/a.parquet", "jsonl/a.jsonl"];
            for file in files {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join(PathBuf::from(file).file_name().unwrap());
                let mut bytes = fs::read(data(file)).unwrap();
                let length = bytes.len();
                bytes[at % length] = byte;
                if cut % 2 == 0 {
                    bytes.truncate(length - cut % length);
                }
                fs::write(&path, bytes).unwrap();
                let Ok(pool) = open(&path) else { continue };
                for name in pool.embedding_names().unwrap_or_default() {
                    let read = |e: Embedding| {
                        e.read(0..e.rows(), &mut vec![0.0; e.rows() * e.dim()]).is_ok()
                    };
                    let _ = pool.embedding(&name).map(read);
                }
                let _ = (pool.column("score"), pool.labels("text"), pool.samples_with_images(&[0]));
            }
        }
    }
}

#[cfg(not(feature = "hdf5"))]
#[test]
fn hdf5_without_the_library_says_what_to_do() {
    let said = complaint(&data("hdf5"));
    assert!(
        said.contains("pool.h5: is an HDF5 file") && said.contains("--features hdf5"),
        "{said}"
    );
}

#[cfg(feature = "hdf5")]
mod hdf5 {
    use curate_io::{
        hdf5_file::write_embedding,
        subset::{self, SubsetFormat},
    };

    use super::*;

    #[test]
    fn groups_chunks_compression_and_byte_orders_read_the_same() {
        let pool = open(&data("hdf5")).unwrap();
        assert_eq!((pool.format(), pool.ids()), (Format::Hdf5, &uids()[..]));
        let names = ["clip/big", "clip/double", "clip/image", "plain"];
        assert_eq!(pool.embedding_names().unwrap(), names);
        for name in names {
            check(&pool, name, 1.0);
        }
        assert_eq!(pool.numeric_columns().unwrap(), ["score"]);
        assert_eq!(pool.column("score").unwrap().get(8), 1.0);
        assert_eq!(pool.samples(&[3]).unwrap()[0].caption.as_deref(), Some("caption 3"));
        let error = pool.embedding("queries").unwrap_err().to_string();
        assert!(error.contains("pool.h5: has no array `queries`; it has `clip/big`"), "{error}");
    }

    #[test]
    fn ann_benchmarks_files_have_the_rows_of_train() {
        let pool = open(&data("ann.hdf5")).unwrap();
        assert_eq!((pool.len(), pool.ids()[9]), (10, SampleId(9)));
        assert_eq!(pool.embedding_names().unwrap(), ["train"]);
        check(&pool, "train", 1.0);
        assert_eq!(open(&data("fixed_text.h5")).unwrap().ids(), uids());
    }

    #[test]
    fn hollow_disagreeing_and_damaged_files_are_refused() {
        let hollow = complaint(&data("hollow.h5"));
        assert!(hollow.contains("dataset `train` promises [1125899906842624, 4]"), "{hollow}");
        let disagree = complaint(&data("disagree.h5"));
        assert!(disagree.contains("10 rows in `a` and 3 in `b`"), "{disagree}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.h5");
        let whole = fs::read(data("hdf5/pool.h5")).unwrap();
        for cut in [0, 100, whole.len() / 2] {
            fs::write(&path, &whole[..cut]).unwrap();
            assert!(complaint(&path).contains("cut.h5: the HDF5 file cannot be read"));
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_the_bytes_repeat() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.h5");
        let source = open(&data("npy")).unwrap().embedding("embedding").unwrap();
        write_embedding(&path, "a/b", &source).unwrap();
        check(&open(&path).unwrap(), "a/b", 1.0);
        let first = fs::read(&path).unwrap();
        write_embedding(&path, "a/b", &source).unwrap();
        assert!(first == fs::read(&path).unwrap());
        let list = folder.path().join("s.h5");
        subset::write(&list, SubsetFormat::Hdf5, &uids()).unwrap();
        let mut sorted = uids();
        sorted.sort_unstable();
        assert_eq!(subset::read(&list).unwrap(), sorted);
    }
}
