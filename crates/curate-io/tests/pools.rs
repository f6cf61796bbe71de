//! Pools as they come: whole, damaged and hostile.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::fs;

use common::{PNG, complaint, f32_table, open, shard, stored, tar_of, write_npz, write_table};
use curate_core::{EmbeddingSource, NoProgress, SampleId, fault::Fault};
use curate_io::{
    Kind, Pool, PoolOptions,
    ids::{id_in_shard, id_of_key},
    npy::header_bytes,
    pool::{BadShards, IdsFrom},
    table::{self, Column},
};
use zip::CompressionMethod;

#[test]
fn a_metadata_pool_lists_rows_in_file_order_and_names_their_faults() {
    let folder = tempfile::tempdir().unwrap();
    let metadata = folder.path().join("metadata");
    write_table(&metadata.join("a.parquet"), &[(Some("01"), Some("x")), (Some("zz"), Some("x"))]);
    write_table(
        &metadata.join("b.parquet"),
        &[(Some("1"), Some("x")), (Some("2"), None), (None, Some("x"))],
    );
    let pool = open(folder.path()).unwrap();
    assert_eq!((pool.len(), pool.ids()[0], pool.ids()[3]), (5, SampleId(1), SampleId(2)));
    // `01` and `1` are one number: leading zeros that another tool stripped make no new id.
    let faults = [
        (1, Fault::MalformedId),
        (2, Fault::DuplicateId),
        (3, Fault::CaptionMissing),
        (4, Fault::MalformedId),
    ];
    assert_eq!(pool.faults(), faults);
    assert_eq!(pool.column("score").unwrap().to_vec(), [0.0, 1.0, 0.0, 1.0, 2.0]);
    assert_eq!(pool.samples(&[3, 0]).unwrap()[1].caption.as_deref(), Some("x"));
    let error = pool.column("scores").unwrap_err().to_string();
    assert!(error.contains("a.parquet: has no numbers `scores`; it has `score`"), "{error}");
}

#[test]
fn every_float_type_stored_or_deflated_reads_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("a.parquet");
    write_table(&table, &[(Some("1"), Some("x")), (Some("2"), Some("y"))]);
    let values = [0.5_f32, -2.0, 1.25, 3.0];
    let f16: Vec<u8> = values.iter().flat_map(|x| half::f16::from_f32(*x).to_le_bytes()).collect();
    let f64: Vec<u8> = values.iter().flat_map(|x| f64::from(*x).to_le_bytes()).collect();
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let arrays = [
            ("f2", [header_bytes("'<f2'", &[2, 2]), f16.clone()].concat()),
            ("f4", f32_table(&values, 2, 2)),
            ("f8", [header_bytes("'<f8'", &[2, 2]), f64.clone()].concat()),
        ];
        write_npz(&folder.path().join("a.npz"), &arrays, method);
        let pool = open(folder.path()).unwrap();
        assert_eq!(pool.embedding_names().unwrap(), ["f2", "f4", "f8"]);
        for name in ["f2", "f4", "f8"] {
            let embedding = pool.embedding(name).unwrap();
            let mut out = [0.0; 4];
            embedding.read(0..2, &mut out).unwrap();
            assert_eq!(out, values, "{name} {method:?}");
            embedding.gather(&[1, 0], &mut out).unwrap();
            assert_eq!(out, [1.25, 3.0, 0.5, -2.0], "{name} {method:?}");
        }
    }
}

#[test]
fn rows_are_gathered_in_any_order_near_and_far_within_and_across_shards() {
    let folder = tempfile::tempdir().unwrap();
    // An npy pool of two files; rows of 64 numbers, so that fifteen others are skipped and sixteen are not.
    let (dim, sizes) = (64, [700, 1_800]);
    let value = |row: usize, t: usize| (row * dim + t) as f32;
    for (shard, from) in [(0, 0), (1, sizes[0])] {
        let rows = from..from + sizes[shard];
        let values: Vec<f32> = rows.flat_map(|row| (0..dim).map(move |t| value(row, t))).collect();
        let bytes = f32_table(&values, sizes[shard], dim);
        fs::write(folder.path().join(format!("{shard}.npy")), bytes).unwrap();
    }
    let pool = open(folder.path()).unwrap();
    let embedding = pool.embedding("embedding").unwrap();
    let cases: Vec<Vec<usize>> = vec![
        vec![],
        (0..2_500).collect(),
        (0..2_500).filter(|row| row % 5 != 3).collect(),
        (0..2_500).step_by(16).collect(),
        (0..2_500).step_by(17).collect(),
        vec![699, 700, 690, 715, 716, 699, 699, 2_499, 0],
    ];
    for rows in cases {
        let mut out = vec![-1.0; rows.len() * dim];
        embedding.gather(&rows, &mut out).unwrap();
        let expected: Vec<f32> =
            rows.iter().flat_map(|&row| (0..dim).map(move |t| value(row, t))).collect();
        assert_eq!(out, expected, "{rows:?}");
    }
}

#[test]
fn embeddings_that_do_not_fit_name_both_files_the_array_and_the_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let npz = folder.path().join("a.npz");
    write_table(
        &folder.path().join("a.parquet"),
        &[(Some("1"), Some("x")), (Some("2"), Some("y"))],
    );
    let complaint = || {
        let pool = open(folder.path()).unwrap();
        pool.embedding("img").expect_err("the embedding is refused").to_string()
    };
    assert!(
        complaint().contains("a.npz: does not exist, but embedding `img` of"),
        "{}",
        complaint()
    );
    fs::write(&npz, b"PK garbage").unwrap();
    assert!(complaint().contains("a.npz: is not an npz file, or is cut off"), "{}", complaint());

    let cases: [(Vec<u8>, &str); 8] = [
        (f32_table(&[0.0; 6], 3, 2), "array `img` has 3 rows, but"),
        (header_bytes("'<f4'", &[2]), "has the shape (2,); a table of vectors has two axes"),
        (header_bytes("'|O'", &[2, 2]), "has the element type '|O'; save it as float16"),
        (header_bytes("'<c8'", &[2, 2]), "has the element type '<c8'"),
        (
            header_bytes("'<f4'", &[2, 1 << 40]),
            "promises 2 x 1099511627776 numbers, but the file ends before",
        ),
        (header_bytes("'<f4'", &[usize::MAX, 8]), "but the file ends before"),
        (b"\x93NUMPY\x01\x00\xff\xff{".to_vec(), "ends within its npy header"),
        (b"no array".to_vec(), "does not start with"),
    ];
    for (bytes, expected) in cases {
        stored(&npz, "img", bytes);
        assert!(complaint().contains(expected), "{} lacks {expected}", complaint());
    }
    let fortran = "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }";
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((fortran.len() as u16).to_le_bytes());
    bytes.extend(fortran.bytes());
    bytes.extend([1_f32, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()));
    stored(&npz, "img", bytes);
    let rows = open(folder.path()).unwrap().embedding("img").unwrap();
    let mut found = [0.0; 4];
    rows.read(0..2, &mut found).unwrap();
    assert_eq!(found, [1.0, 3.0, 2.0, 4.0], "column by column");
    stored(&npz, "txt", f32_table(&[0.0; 4], 2, 2));
    assert!(complaint().contains("has no array `img`; it has `txt`"), "{}", complaint());
}

#[test]
fn shards_of_different_width_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, width) in [("a", 2), ("b", 3)] {
        write_table(&folder.path().join(format!("{name}.parquet")), &[(Some(name), Some("x"))]);
        let values = vec![0.0; width];
        stored(&folder.path().join(format!("{name}.npz")), "img", f32_table(&values, 1, width));
    }
    let error = open(folder.path()).unwrap().embedding("img").unwrap_err().to_string();
    assert!(
        error.contains("b.npz: holds vectors of 3 numbers, but") && error.contains("holds 2"),
        "{error}"
    );
}

#[test]
fn damaged_tables_are_refused_by_name_or_left_out() {
    let folder = tempfile::tempdir().unwrap();
    write_table(&folder.path().join("a.parquet"), &[(Some("1"), Some("x"))]);
    let bad = folder.path().join("b.parquet");
    let whole = fs::read(folder.path().join("a.parquet")).unwrap();
    for cut in [0, 4, whole.len() / 2, whole.len() - 1] {
        fs::write(&bad, &whole[..cut]).unwrap();
        assert!(
            complaint(folder.path()).contains("b.parquet: is not a Parquet file, or is cut off")
        );
    }
    let skip = PoolOptions { bad_shards: BadShards::Skip, ..PoolOptions::default() };
    let pool = Pool::open(folder.path(), skip, &NoProgress).unwrap();
    assert_eq!((pool.len(), pool.skipped().len()), (1, 1));
    assert_eq!(pool.skipped()[0].name, "b");

    table::write(&bad, vec![("id", Column::Text(vec!["1".into()]))]).unwrap();
    assert!(complaint(folder.path()).contains("b.parquet: has no column `uid`; it has `id`"));
    table::write(&bad, vec![("uid", Column::U64(vec![1]))]).unwrap();
    assert!(
        complaint(folder.path())
            .contains("column `uid` holds UInt64, not hexadecimal text or 16 bytes")
    );
}

#[test]
fn a_tar_shard_gives_ids_captions_pictures_and_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let uid = "0123456789abcdef0123456789abcdef";
    let json = format!("{{\"uid\": \"{uid}\", \"similarity\": 0.5, \"source\": \"web\"}}");
    let tar = tar_of(&[
        ("d/one.JPG", PNG),
        ("d/one.txt", b" a cat \n"),
        ("d/one.json", json.as_bytes()),
        ("two.png", PNG),
        ("three.txt", b"no picture"),
        ("four.json", b"{\"uid\": \"not hexadecimal\"}"),
        ("four.png", PNG),
        (".hidden", b""),
    ]);
    fs::write(folder.path().join("00000.tar"), tar).unwrap();
    let pool = open(folder.path()).unwrap();
    assert_eq!(pool.len(), 4);
    assert_eq!(pool.ids()[0].to_string(), uid);
    assert_eq!(pool.ids()[1], curate_io::ids::id_of_key("two"));
    let faults = [(1, Fault::CaptionMissing), (2, Fault::ImageMissing), (3, Fault::MalformedId)];
    assert_eq!(pool.faults(), faults);
    let shown = &pool.samples_with_images(&[0]).unwrap()[0];
    assert_eq!(shown.caption.as_deref(), Some("a cat"));
    assert_eq!((shown.image.as_deref(), shown.key.as_deref()), (Some(PNG), Some("d/one")));
    assert_eq!(pool.labels("source").unwrap()[0].as_deref(), Some("web"));
    let similarity = pool.column("similarity").unwrap().to_vec();
    assert!(similarity[0] == 0.5 && similarity[1].is_nan());
}

#[test]
fn a_shard_that_was_cut_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("00000.tar");
    let whole = shard(&["1", "2"]);
    for cut in [0, 100, 512 + 3, 512 + 7, 1024 + 9, 2048 + 511, whole.len() - 1600] {
        fs::write(&path, &whole[..cut]).unwrap();
        let error =
            open(folder.path()).err().unwrap_or_else(|| panic!("cut at {cut} was accepted"));
        assert_eq!(error.kind, Kind::Truncated, "{cut}: {error}");
        assert!(
            error.to_string().contains("00000.tar")
                && error.to_string().contains("fetch the shard again")
        );
    }
    fs::write(&path, "not a tar file at all, but long enough to hold a header ".repeat(40))
        .unwrap();
    assert!(complaint(folder.path()).contains("00000.tar"));
    // All members are whole: webdataset reads it, and so is it read here, with a word.
    fs::write(&path, &whole[..whole.len() - 1024]).unwrap();
    let pool = open(folder.path()).unwrap();
    assert_eq!((pool.len(), pool.faults()), (2, &[][..]));
    assert!(pool.notes()[0].contains("ends without the block that ends a tar file"));
    fs::write(&path, &whole).unwrap();
    assert_eq!(open(folder.path()).unwrap().len(), 2);
}

#[test]
fn a_missing_shard_of_a_pattern_and_a_wrong_count_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["00000", "00002"] {
        fs::write(folder.path().join(format!("{name}.tar")), shard(&[name])).unwrap();
    }
    let pattern = folder.path().join("{00000..00002}.tar");
    assert!(
        complaint(&pattern).contains("00001.tar: is in the pattern but does not exist; fetch it")
    );
    fs::write(folder.path().join("00001.tar"), shard(&["3", "4"])).unwrap();
    assert_eq!(open(&pattern).unwrap().len(), 4);
    fs::write(folder.path().join("00001_stats.json"), "{\"successes\": 3}").unwrap();
    let error = complaint(&pattern);
    assert!(error.contains("00001.tar: has 2 samples, but") && error.contains("says 3"), "{error}");
}

#[test]
fn hostile_names_are_only_names_and_repeats_across_shards_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let tar = tar_of(&[
        ("../../escape.png", PNG),
        ("../../escape.txt", b"x"),
        ("/abs.png", PNG),
        ("/abs.txt", b"x"),
    ]);
    fs::write(folder.path().join("0.tar"), &tar).unwrap();
    fs::write(folder.path().join("1.tar"), &tar).unwrap();
    let said = complaint(folder.path());
    assert!(said.contains("has keys that begin anew in every shard, `1` for one"), "{said}");
    let with = |ids| {
        let options = PoolOptions { ids: Some(ids), ..PoolOptions::default() };
        Pool::open(folder.path(), options, &NoProgress).unwrap()
    };
    assert_eq!(with(IdsFrom::ShardAndKey).faults(), []);
    let pool = with(IdsFrom::Key);
    assert_eq!(pool.len(), 4);
    assert_eq!(pool.faults(), [(2, Fault::DuplicateId), (3, Fault::DuplicateId)]);
    assert_eq!(pool.samples_with_images(&[0]).unwrap()[0].key.as_deref(), Some("../../escape"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing was unpacked");
}

#[test]
fn a_record_that_is_no_object_names_its_member() {
    let folder = tempfile::tempdir().unwrap();
    let deep = "[".repeat(100_000);
    for record in ["[1, 2]", "{\"uid\": ", "nul", &deep] {
        let tar = tar_of(&[("a.png", PNG), ("a.json", record.as_bytes())]);
        fs::write(folder.path().join("0.tar"), tar).unwrap();
        let pool = open(folder.path()).unwrap();
        assert_eq!(pool.faults(), [(0, Fault::RecordMalformed)]);
        assert!(pool.notes()[0].contains("0.tar: `a.json` is not"), "{:?}", pool.notes());
    }
}

mod random_bytes {
    use curate_io::{npz::Npz, subset};
    use proptest::{prelude::*, test_runner::RngSeed};

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 64,
            rng_seed: RngSeed::Fixed(7),
            ..ProptestConfig::default()
        })]

        /// Damage anywhere in a file is an error or a pool, never a panic or a huge allocation.
        #[test]
        fn never_panic(at in 0_usize..4096, byte: u8, cut in 0_usize..4096) {
            let folder = tempfile::tempdir().unwrap();
            let table = folder.path().join("a.parquet");
            write_table(&table, &[(Some("1"), Some("x")), (Some("2"), Some("y"))]);
            let npz = folder.path().join("a.npz");
            stored(&npz, "img", f32_table(&[0.5; 4], 2, 2));
            let tar = folder.path().join("t/0.tar");
            fs::create_dir(folder.path().join("t")).unwrap();
            fs::write(&tar, shard(&["1", "2"])).unwrap();
            let list = folder.path().join("s.npy");
            subset::write(&list, subset::SubsetFormat::Npy, &[SampleId(1), SampleId(2)]).unwrap();
            for file in [&table, &npz, &tar, &list] {
                let mut bytes = fs::read(file).unwrap();
                let length = bytes.len();
                bytes[at % length] = byte;
                bytes.truncate(length - cut % length / 2);
                fs::write(file, bytes).unwrap();
            }
            let pool = open(&table);
            if let Ok(pool) = &pool {
                let _ = pool.embedding("img").map(|e| e.read(0..e.rows(), &mut vec![0.0; e.rows() * e.dim()]));
                let _ = pool.samples_with_images(&[0]);
            }
            let _ = Npz::open(&npz).map(|npz| npz.names());
            let _ = open(&tar).map(|pool| pool.samples_with_images(&[0]).is_ok());
            let _ = subset::read(&list);
        }
    }
}

/// `s{0..1}/00000.tar`: ids from shard and key tell the shards apart, and those of other shards stay.
#[test]
fn shards_of_one_name_in_two_folders_have_ids_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    for (shard, keys) in [("s0/0", ["a", "b"]), ("s1/0", ["a", "b"]), ("s1/1", ["a", "b"])] {
        let path = folder.path().join(format!("{shard}.tar"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let members = keys.map(|key| [(format!("{key}.png"), PNG), (format!("{key}.txt"), b"x")]);
        let members: Vec<(&str, &[u8])> =
            members.iter().flatten().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
        fs::write(path, tar_of(&members)).unwrap();
    }
    let options = PoolOptions { ids: Some(IdsFrom::ShardAndKey), ..PoolOptions::default() };
    let open = |pattern: &str| {
        let pattern = folder.path().join(pattern);
        Pool::open(&pattern, options, &NoProgress).unwrap()
    };
    let both = open("{s0/0,s1/0,s1/1}.tar");
    assert_eq!(both.faults(), []);
    let names: Vec<&str> = both.shards().iter().map(|shard| &*shard.name).collect();
    assert_eq!(names, ["s0_0", "s1_0", "1"]);
    assert_eq!(both.ids()[0], id_in_shard("s0_0", id_of_key("a")));
    assert_eq!(both.ids()[4..], open("s1/{0..1}.tar").ids()[2..], "1.tar has a name of its own");
    let alone = Pool::open_piece(&folder.path().join("s1/0.tar"), "s1_0", options).unwrap();
    assert_eq!(alone.ids(), &both.ids()[2..4]);
    assert_eq!(both.samples(&[2]).unwrap()[0].shard, "s1_0");
}
