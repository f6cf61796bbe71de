//! Arguments that make no sense: every public function answers with an error that names them, or with
//! what they mean, and never panics.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{error::Error, fs, path::Path};

use common::{open, shard, stored, write_table};
use curate_core::{EmbeddingSource, NoProgress, SampleId};
use curate_io::{
    Embedding, Pool, PoolOptions, SubsetWriter, atomic, centroids, datacomp, digest, ids,
    npy::{self, Header, Precision},
    npz::{Npz, NpzWriter},
    pieces,
    reshard::{ReshardOptions, Shuffle, reshard},
    sorted::SortedIds,
    subset::{self, SubsetFormat},
    table::{self, Reader},
    url::{self, FilesWanted, UrlOptions},
    vectors::StoredArray,
};
use ndarray::{ArrayView2, array};

/// An error that has to contain some words.
type Refused<'a> = (&'a str, Result<(), Box<dyn Error>>);

fn all_refused(cases: Vec<Refused<'_>>) {
    for (expected, answer) in cases {
        let said = answer.expect_err(expected).to_string();
        assert!(said.contains(expected), "{said} lacks {expected}");
    }
}

/// What a call answers, without its value.
fn said<T, E: Into<Box<dyn Error>>>(answer: Result<T, E>) -> Result<(), Box<dyn Error>> {
    answer.map(drop).map_err(Into::into)
}

#[test]
fn paths_that_lead_nowhere_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("none.npy");
    let below_a_file = folder.path().join("file/x.npy");
    fs::write(folder.path().join("file"), "mine").unwrap();
    let options = PoolOptions::default;
    let view: ArrayView2<'_, f32> = ArrayView2::from_shape((1, 1), &[1.0]).unwrap();
    all_refused(vec![
        ("none.npy", said(Pool::open(&none, options(), &NoProgress))),
        ("none.npy", said(Pool::open_with(&none, options(), &["img"], &NoProgress))),
        ("none.npy", said(pieces(&none, None).and_then(|p| open(&p[0])))),
        ("none.npy", said(datacomp::metadata_tables(&none))),
        ("none.npy", said(datacomp::embedding(&none, "img", 1))),
        ("none.npy", said(StoredArray::open_npy(&none))),
        ("none.npy", said(Npz::open(&none))),
        ("none.npy", said(Reader::open(&none))),
        ("none.npy", said(subset::read(&none))),
        ("none.npy", said(subset::read_sorted(&none))),
        ("none.npy", said(SortedIds::open(&none))),
        ("none.npy", said(centroids::load(&none))),
        ("none.npy", said(digest::of_file(&none))),
        ("none.npy", said(digest::of_files(&[&none]))),
        ("none.npy", said(atomic::remove_leftovers(&none))),
        ("file", said(atomic::write(&below_a_file, b"x"))),
        ("file", said(npy::write(&below_a_file, view, Precision::F32))),
        ("file", said(NpzWriter::create(&below_a_file))),
        ("file", said(table::write(&below_a_file, vec![]))),
        ("file", said(subset::write(&below_a_file, SubsetFormat::Npy, &[]))),
        ("file", said(SubsetWriter::new(&below_a_file, SubsetFormat::Npy).finish())),
        ("file", said(centroids::save(&below_a_file, view))),
        ("does not exist", said(atomic::write(Path::new(""), b"x"))),
        ("no ending of a subset", said(SubsetFormat::of_path(Path::new("")))),
    ]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was left");
}

#[test]
fn rows_and_names_that_a_pool_lacks_are_named() {
    let folder = tempfile::tempdir().unwrap();
    write_table(&folder.path().join("a.parquet"), &[(Some("1"), Some("x")), (Some("2"), None)]);
    stored(&folder.path().join("a.npz"), "img", common::f32_table(&[1.0, 2.0, 3.0, 4.0], 2, 2));
    let pool = open(folder.path()).unwrap();
    let images = pool.embedding("img").unwrap();
    let table = folder.path().join("a.parquet");
    all_refused(vec![
        ("has no row 2; it has 2 rows", said(pool.samples(&[0, 2]))),
        ("has no row 18446744073709551615", said(pool.samples_with_images(&[usize::MAX]))),
        ("has no array ``; it has `img`", said(pool.embedding(""))),
        ("has no numbers `nope`; it has `score`", said(pool.column("nope"))),
        ("not numbers", said(pool.column("text"))),
        ("row 2 is asked for, but there are 2", said(images.read(1..3, &mut [0.0; 4]))),
        ("row 9 is asked for", said(images.gather(&[9, 0], &mut [0.0; 4]))),
        ("`out` holds 3 numbers", said(images.read(0..2, &mut [0.0; 3]))),
        ("`out` holds 4 numbers", said(images.gather(&[1], &mut [0.0; 4]))),
        ("has 2 rows, but", said(datacomp::embedding(&table, "img", 3))),
    ]);
    let last = usize::MAX;
    assert!(images.read(last - 1..last, &mut [0.0; 2]).is_err());
    assert!(images.gather(&[last], &mut [0.0; 2]).is_err());
    assert_eq!(images.read(1..1, &mut []).ok(), Some(()));
    assert_eq!(pool.samples(&[]).unwrap(), []);
    assert_eq!((pool.row_of(SampleId(7)), pool.labels("nope").unwrap()), (None, vec![None; 2]));
    let twice = pool.samples(&[1, 0, 1]).unwrap();
    assert_eq!(twice.iter().map(|s| s.id.0).collect::<Vec<_>>(), [2, 1, 2]);
    assert!(twice[0] == twice[2], "a row that is asked for twice is given twice");
}

#[test]
fn arrays_that_make_no_sense_are_refused_or_written_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.npz");
    let mut npz = NpzWriter::create(&path).unwrap();
    npz.add("img", array![[1.0]].view(), Precision::F32).unwrap();
    assert!(npz.add("img", array![[1.0]].view(), Precision::F16).is_err());
    drop(npz);
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "what is not finished is not there"
    );
    assert!(npy::f32_table(&[1.0; 3], 2, 2).is_err());
    assert!(npy::f32_table(&[], usize::MAX, usize::MAX).is_err());
    assert!(Header::read(&b""[..]).is_err());
    let empty = folder.path().join("empty.npy");
    npy::write(&empty, ArrayView2::from_shape((0, 0), &[]).unwrap(), Precision::F32).unwrap();
    all_refused(vec![("vectors of 0 numbers", said(StoredArray::open_npy(&empty)))]);
    let nothing = Embedding::new(vec![]).unwrap();
    assert_eq!((nothing.rows(), nothing.dim()), (0, 0));
    assert!(nothing.read(0..1, &mut [0.0]).is_err());
    assert_ne!(ids::id_of_key(""), ids::id_of_text(" "));
}

#[test]
fn selections_and_resharding_take_any_ids_and_refuse_what_cannot_be_done() {
    let folder = tempfile::tempdir().unwrap();
    let shards = folder.path().join("shards");
    atomic::write(&shards.join("0.tar"), &shard(&["1", "2"])).unwrap();
    let subset = folder.path().join("s.npy");
    subset::write(&subset, SubsetFormat::Npy, &[SampleId(u128::MAX), SampleId(0)]).unwrap();
    let sorted = SortedIds::open(&subset).unwrap();
    assert_eq!(sorted.find(SampleId(5)).unwrap(), (1, 0));
    assert!(sorted.write_npy(&subset.join("x.npy")).is_err(), "a file is no folder");

    let out = folder.path().join("out");
    let run = |pool: &Path, options| reshard(pool, &subset, &out, options, &NoProgress);
    let none = ReshardOptions { samples_per_shard: 0, ..ReshardOptions::default() };
    all_refused(vec![
        ("shards of 0 samples", said(run(&shards, none))),
        ("none", said(run(&folder.path().join("none"), ReshardOptions::default()))),
    ]);
    let most = Some(Shuffle { buffer: usize::MAX, seed: 1 });
    let options = ReshardOptions {
        samples_per_shard: usize::MAX,
        shuffle: most,
        ..ReshardOptions::default()
    };
    let there = open(&shards).unwrap().ids()[0];
    let one = [there, SampleId(u128::MAX)];
    all_refused(vec![("of which none", said(run(&shards, options)))]);
    subset::write(&subset, SubsetFormat::Npy, &one).unwrap();
    assert_eq!(run(&shards, options).unwrap().ids_without_sample, 1);
}

#[test]
fn urls_that_are_none_are_refused() {
    assert!(!url::is_url(Path::new("")) && url::is_url(Path::new("x://")));
    let cache = tempfile::tempdir().unwrap();
    let access = UrlOptions { cache: cache.path().to_owned(), limit: 0, settings: vec![] };
    for text in ["", "x://", "ftp://host/0.tar", "://", "s3://", "gs:///"] {
        let wanted = FilesWanted::Tables;
        let answer = url::local_with(Path::new(text), None, wanted, &access, &NoProgress);
        assert!(answer.is_err(), "{text}");
    }
    let plain = url::local(Path::new("plain"), FilesWanted::Tables, &NoProgress).unwrap();
    assert_eq!(plain, Path::new("plain"));
}
