//! Damage that is easy to take for data: half-fetched files, arrays that lie, bytes at random.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{fs, path::Path};

use common::{PNG, complaint, f32_table, open, shard, stored, tar_of, write_npz, write_table};
use curate_core::{EmbeddingSource, NoProgress, SampleId, fault::Fault};
use curate_io::{Pool, PoolOptions, npy::header_bytes, pool::BadShards, subset};
use tempfile::TempDir;
use zip::CompressionMethod;

const SKIP: PoolOptions = PoolOptions { format: None, bad_shards: BadShards::Skip, ids: None };

/// A folder with one metadata table of two rows.
fn two_rows() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rows = [(Some("1"), Some("x")), (Some("2"), Some("y"))];
    write_table(&folder.path().join("a.parquet"), &rows);
    folder
}

fn refused(folder: &Path, embedding: &str) -> String {
    open(folder).unwrap().embedding(embedding).unwrap_err().to_string()
}

/// The names of the shards that a pool left out, and why.
fn skipped(pool: &Pool) -> Vec<(&str, &str)> {
    pool.skipped().iter().map(|shard| (shard.name.as_str(), shard.reason.as_str())).collect()
}

#[test]
fn a_download_that_reserved_its_space_is_no_empty_shard() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("0.tar");
    let whole = shard(&["1", "2"]);
    let after_the_first = 3 * 1024;
    for fetched in [0, after_the_first] {
        let mut bytes = whole[..fetched].to_vec();
        bytes.resize(4 << 20, 0);
        fs::write(&path, bytes).unwrap();
        assert!(complaint(&path).contains("it was not fetched to its end"), "{}", complaint(&path));
    }
    let padded = [whole, vec![0; 10_240]].concat();
    fs::write(&path, padded).unwrap();
    assert_eq!(open(&path).unwrap().len(), 2);
}

#[test]
fn tar_files_joined_to_one_do_not_lose_the_second() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("0.tar");
    fs::write(&path, [shard(&["1"]), shard(&["2"])].concat()).unwrap();
    assert!(complaint(&path).contains("joins several tar files"), "{}", complaint(&path));
}

#[test]
fn names_that_are_no_utf8_stay_apart() {
    let folder = tempfile::tempdir().unwrap();
    let members: [(&[u8], &[u8]); 4] =
        [(b"\xff.png", PNG), (b"\xff.txt", b"x"), (b"\xfe.png", PNG), (b"\xfe.txt", b"y")];
    fs::write(folder.path().join("0.tar"), tar_of(&members)).unwrap();
    let pool = open(folder.path()).unwrap();
    assert_eq!((pool.len(), pool.faults()), (2, &[][..]));
    assert_ne!(pool.ids()[0], pool.ids()[1]);
    assert_eq!(pool.samples(&[1]).unwrap()[0].key.as_deref(), Some("\\xfe"));
}

#[test]
fn a_record_too_long_to_be_one_sets_its_sample_aside() {
    let folder = tempfile::tempdir().unwrap();
    let long = vec![b'['; 17 << 20];
    let members: [(&str, &[u8]); 4] = [
        ("a.png", PNG),
        ("a.json", &long),
        ("b.png", PNG),
        ("b.json", b"{\"similarity\": 0.5, \"caption\": \"two\"}"),
    ];
    fs::write(folder.path().join("0.tar"), tar_of(&members)).unwrap();
    let pool = open(folder.path()).unwrap();
    assert_eq!(pool.faults(), [(0, Fault::RecordMalformed)]);
    let similarity = pool.column("similarity").unwrap().to_vec();
    assert!(similarity[0].is_nan() && similarity[1] == 0.5);
    assert_eq!(pool.samples(&[1]).unwrap()[0].caption.as_deref(), Some("two"));
}

#[test]
fn a_damaged_count_beside_a_shard_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("0.tar"), shard(&["1"])).unwrap();
    let count = folder.path().join("0_stats.json");
    fs::write(&count, "{\"successes\"").unwrap();
    assert!(complaint(folder.path()).contains("0_stats.json: is not JSON"));
    fs::write(&count, "{\"count\": 7, \"successes\": 1}").unwrap();
    assert_eq!(open(folder.path()).unwrap().len(), 1);
}

#[test]
fn a_pattern_of_no_file_or_of_too_many_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("2.tar"), shard(&["1"])).unwrap();
    let complaint = |name: &str| complaint(&folder.path().join(name));
    assert!(complaint("{3..2}.tar").contains("3.tar: is in the pattern but does not exist"));
    assert!(complaint("{3..2.tar").contains("has braces that do not match; write it as in"));
    assert!(complaint("{0..99999999999}.tar").contains("more than a million files"));
}

#[test]
fn a_missing_shard_of_a_pattern_can_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["0", "2"] {
        fs::write(folder.path().join(format!("{name}.tar")), shard(&[name])).unwrap();
    }
    let pool = Pool::open(&folder.path().join("{0..2}.tar"), SKIP, &NoProgress).unwrap();
    assert_eq!(pool.len(), 2);
    assert_eq!(skipped(&pool), [("1", "is in the pattern but does not exist")]);
}

#[test]
fn an_id_of_a_shard_that_was_left_out_is_no_repeat() {
    let folder = tempfile::tempdir().unwrap();
    let whole = shard(&["1", "2"]);
    fs::write(folder.path().join("0.tar"), &whole[..whole.len() - 1600]).unwrap();
    fs::write(folder.path().join("1.tar"), &whole).unwrap();
    let pool = Pool::open(folder.path(), SKIP, &NoProgress).unwrap();
    assert_eq!((pool.len(), pool.faults()), (2, &[][..]));
    assert_eq!(skipped(&pool)[0].0, "0");
}

#[test]
fn a_pool_of_nothing_but_bad_shards_says_why() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("0.tar"), b"").unwrap();
    let error = Pool::open(folder.path(), SKIP, &NoProgress).err().unwrap().to_string();
    assert!(error.contains("has no shard that can be read (0: "), "{error}");
}

#[test]
fn shards_whose_embeddings_cannot_be_read_are_left_out_when_those_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let good = f32_table(&[1.0, 0.0], 1, 2);
    for name in ["damaged", "good", "long", "missing", "other"] {
        write_table(&at(&format!("{name}.parquet")), &[(Some(&format!("{:x}", name.len())), None)]);
        stored(&at(&format!("{name}.npz")), "img", good.clone());
    }
    let whole = fs::read(at("good.npz")).unwrap();
    fs::write(at("damaged.npz"), &whole[..whole.len() / 2]).unwrap();
    stored(&at("long.npz"), "img", f32_table(&[1.0; 4], 2, 2));
    fs::remove_file(at("missing.npz")).unwrap();
    stored(&at("other.npz"), "txt", good);

    assert_eq!(Pool::open(folder.path(), SKIP, &NoProgress).unwrap().len(), 5, "nothing asked for");
    let pool = Pool::open_with(folder.path(), SKIP, &["img"], &NoProgress).unwrap();
    let left_out: Vec<_> = skipped(&pool).into_iter().map(|(name, _)| name).collect();
    assert_eq!(left_out, ["damaged", "long", "missing", "other"]);
    assert_eq!(pool.embedding("img").unwrap().rows(), 1);
}

#[test]
fn rows_of_a_tar_shard_and_its_embeddings_must_agree() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("0.tar"), shard(&["1", "2"])).unwrap();
    let npz = folder.path().join("0.npz");
    stored(&npz, "img", f32_table(&[0.5; 4], 2, 2));
    assert_eq!(open(folder.path()).unwrap().embedding("img").unwrap().rows(), 2);
    stored(&npz, "img", f32_table(&[0.5; 6], 3, 2));
    let error = refused(folder.path(), "img");
    assert!(error.contains("0.npz: array `img` has 3 rows, but"), "{error}");
    assert!(error.contains("0.tar has 2; fetch both files again"), "{error}");
}

#[test]
fn a_deflated_array_is_checked_like_a_stored_one() {
    let folder = two_rows();
    let npz = folder.path().join("a.npz");
    let deflated = |bytes: Vec<u8>| write_npz(&npz, &[("img", bytes)], CompressionMethod::Deflated);
    let values: Vec<f32> = (0..2000).map(|i| (i * i % 977) as f32).collect();

    deflated(f32_table(&values[..1000], 1, 1000));
    assert!(refused(folder.path(), "img").contains("array `img` has 1 rows"));
    deflated([header_bytes("'<f4'", &[2, 1000]), vec![7; 100]].concat());
    assert!(refused(folder.path(), "img").contains("promises 2 x 1000 numbers, but"));
    deflated(b"no array at all".to_vec());
    assert!(refused(folder.path(), "img").contains("is not an npy array"));

    deflated(f32_table(&values, 2, 1000));
    let whole = fs::read(&npz).unwrap();
    let listed = whole.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    let (packed, checksum) = (1500, listed + 16);
    for at in [packed, checksum] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&npz, bytes).unwrap();
        let error = refused(folder.path(), "img");
        assert!(error.contains("a.npz: array `img` cannot be unpacked; fetch or write"), "{error}");
    }
}

#[test]
fn an_array_takes_no_more_than_it_promises() {
    let folder = two_rows();
    // A thousand times as large as it is on disk, behind an honest header.
    let bomb = [f32_table(&[1.0, 0.0, 0.0, 1.0], 2, 2), vec![0; 32 << 20]].concat();
    write_npz(&folder.path().join("a.npz"), &[("img", bomb)], CompressionMethod::Deflated);
    let mut out = [0.0; 4];
    open(folder.path()).unwrap().embedding("img").unwrap().read(0..2, &mut out).unwrap();
    assert_eq!(out, [1.0, 0.0, 0.0, 1.0]);
}

#[test]
fn an_encrypted_array_is_not_called_missing() {
    let folder = two_rows();
    let npz = folder.path().join("a.npz");
    stored(&npz, "img", f32_table(&[0.5; 4], 2, 2));
    let mut bytes = fs::read(&npz).unwrap();
    let listed = bytes.windows(4).rposition(|four| four == b"PK\x01\x02").unwrap();
    // The flag of encryption in the member's own record and in the list of members.
    (bytes[6], bytes[listed + 8]) = (1, 1);
    fs::write(&npz, bytes).unwrap();
    let error = refused(folder.path(), "img");
    assert!(error.contains("array `img` cannot be unpacked"), "{error}");
}

#[test]
fn vectors_of_no_numbers_are_refused() {
    let folder = two_rows();
    stored(&folder.path().join("a.npz"), "img", header_bytes("'<f4'", &[2, 0]));
    assert!(refused(folder.path(), "img").contains("array `img` holds vectors of 0 numbers"));
}

#[test]
fn a_subset_that_lost_its_header_is_no_list_of_ids() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.npy");
    for bytes in [&b""[..], &[0; 64], b"<!DOCTYPE html><html>not found</html>"] {
        fs::write(&path, bytes).unwrap();
        let error = subset::read(&path).unwrap_err().to_string();
        assert!(error.contains("s.npy: ") && error.contains("npy"), "{error}");
    }
}

#[test]
fn an_id_is_the_same_with_and_without_its_leading_zeros() {
    let folder = tempfile::tempdir().unwrap();
    let full = format!("{:032x}", 0xf_0000_0000_0000_00a1_u128);
    write_table(&folder.path().join("a.parquet"), &[(Some(&full), Some("x"))]);
    let list = folder.path().join("kept.txt");
    fs::write(&list, full.trim_start_matches('0')).unwrap();
    let ids = subset::read(&list).unwrap();
    assert_eq!(open(&folder.path().join("a.parquet")).unwrap().row_of(ids[0]), Some(0));
    let npy = folder.path().join("kept.npy");
    subset::write(&npy, subset::SubsetFormat::Npy, &ids).unwrap();
    assert_eq!(subset::read(&npy).unwrap(), [SampleId(0xf_0000_0000_0000_00a1)]);
}

mod any_bytes {
    use curate_io::{
        npy::{Dtype, Header},
        npz::Npz,
        table::Reader,
        vectors::StoredArray,
    };
    use proptest::{collection::vec, prelude::*, test_runner::RngSeed};

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 60,
            rng_seed: RngSeed::Fixed(7),
            ..ProptestConfig::default()
        })]

        #[test]
        fn a_header_is_read_as_it_was_written(
            (descr, dtype) in prop_oneof![
                Just(("'<f2'", Dtype::F16)),
                Just(("'<f4'", Dtype::F32)),
                Just(("'<f8'", Dtype::F64)),
                Just((curate_io::npy::UID_PAIR, Dtype::UidPair)),
            ],
            shape in vec(0_usize..1 << 40, 0..5),
        ) {
            let bytes = header_bytes(descr, &shape);
            prop_assert_eq!(bytes.len() % 64, 0);
            let header = Header::read(&bytes[..]).unwrap();
            let expected = Header { dtype, fortran_order: false, shape, len: bytes.len() };
            prop_assert_eq!(header, expected);
        }

        /// Whatever a file holds, reading it is an answer or an error, never a panic.
        #[test]
        fn no_file_makes_a_reader_panic(
            start in prop_oneof![
                Just(&b""[..]),
                Just(&b"\x93NUMPY\x01\x00\x10\x00{'descr':"[..]),
                Just(&b"PK\x03\x04"[..]),
                Just(&b"PK\x05\x06"[..]),
                Just(&b"PAR1"[..]),
            ],
            middle in vec(any::<u8>(), 0..1500),
            end in prop_oneof![Just(&b""[..]), Just(&b"\x20\x00\x00\x00PAR1"[..]), Just(&[0; 1024][..])],
        ) {
            let folder = tempfile::tempdir().unwrap();
            let bytes = [start, &middle, end].concat();
            for name in ["a.npy", "a.npz", "a.tar", "a.parquet", "a.memmap", "a.jsonl", "a.txt"] {
                let path = folder.path().join(name);
                fs::write(&path, &bytes).unwrap();
                let _ = open(&path).map(|pool| pool.samples_with_images(&[0]).is_ok());
                let _ = subset::read(&path);
                let _ = StoredArray::open_npy(&path).map(|part| part.rows());
                let _ = Npz::open(&path).map(|mut npz| npz.array("img").is_ok());
                let _ = Reader::open(&path).map(|reader| reader.text("uid", None).is_ok());
            }
        }

        /// A whole file of which one stretch was overwritten.
        #[test]
        fn no_damage_makes_a_reader_panic(at in 0_usize..4096, junk in vec(any::<u8>(), 1..40)) {
            let folder = two_rows();
            let npz = folder.path().join("a.npz");
            write_npz(&npz, &[("img", f32_table(&[0.5; 64], 2, 32))], CompressionMethod::Deflated);
            let tar = folder.path().join("t.tar");
            fs::write(&tar, shard(&["1", "2"])).unwrap();
            for path in [&folder.path().join("a.parquet"), &npz, &tar] {
                let mut bytes = fs::read(path).unwrap();
                let at = at % bytes.len();
                let end = bytes.len().min(at + junk.len());
                bytes[at..end].copy_from_slice(&junk[..end - at]);
                fs::write(path, bytes).unwrap();
            }
            let _ = open(&tar).map(|pool| pool.samples_with_images(&[0]).is_ok());
            let table = open(&folder.path().join("a.parquet"));
            if let Ok(pool) = table {
                let mut out = vec![0.0; 64];
                let _ = pool.embedding("img").map(|e| e.read(0..1, &mut out[..e.dim().min(64)]).is_ok());
                let _ = pool.samples_with_images(&[0]);
                let _ = pool.column("score");
            }
            let _ = Npz::open(&npz).map(|mut npz| npz.array("img").is_ok());
        }
    }
}
