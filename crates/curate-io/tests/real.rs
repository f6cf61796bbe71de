//! Shards and JSON lines as other programs write them, against what webdataset and Python's json read
//! (`data/make_real.py`). CURATE_FUZZ_DIR names a folder of more cases.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{collections::BTreeMap, fs, path::PathBuf};

use common::{PNG, complaint, open, shard, tar_of};
use curate_core::{SampleId, fault::Fault};
use curate_io::{Pool, pool::Sample};
use serde_json::Value;

fn folder() -> PathBuf {
    let committed = || [env!("CARGO_MANIFEST_DIR"), "tests", "data", "real"].iter().collect();
    std::env::var_os("CURATE_FUZZ_DIR").map_or_else(committed, PathBuf::from)
}

fn cases(ending: &str) -> Vec<(PathBuf, Vec<Value>)> {
    let text = fs::read_to_string(folder().join("expected.json")).unwrap();
    let all: BTreeMap<String, Vec<Value>> = serde_json::from_str(&text).unwrap();
    let ours = all.into_iter().filter(|(name, _)| name.ends_with(ending));
    ours.map(|(name, rows)| (folder().join(name), rows)).collect()
}

fn has(pool: &Pool, row: usize, fault: Fault) -> bool {
    pool.faults().contains(&(row, fault))
}

/// The scores of a pool equal Python's; a record without a number has none.
fn check_scores(pool: &Pool, rows: &[Value], what: &str) {
    let expected: Vec<Option<f64>> =
        rows.iter().map(|row| row["score"].as_str().map(|s| s.parse().unwrap())).collect();
    if expected.iter().all(Option::is_none) {
        assert!(pool.column("score").is_err(), "{what}");
        return;
    }
    for (found, expected) in pool.column("score").unwrap().iter().zip(expected) {
        let expected = expected.unwrap_or(f64::NAN);
        assert!(found == expected || found.is_nan() && expected.is_nan(), "{what}: {found}");
    }
}

/// Holds every row of every case to what Python read; `check` looks at what one layout alone has.
fn compare(ending: &str, least: usize, check: impl Fn(&Pool, usize, &Sample, &Value, &str)) {
    let all = cases(ending);
    assert!(all.len() >= least);
    for (path, rows) in all {
        let what = path.display().to_string();
        let pool = open(&path).unwrap();
        assert_eq!(pool.len(), rows.len(), "{what}");
        let every: Vec<usize> = (0..rows.len()).collect();
        let samples = pool.samples_with_images(&every).unwrap();
        for (row, (sample, expected)) in samples.iter().zip(&rows).enumerate() {
            let at = format!("{what}, row {row}");
            assert_eq!(sample.caption.as_deref(), expected["caption"].as_str(), "{at}");
            check(&pool, row, sample, expected, &at);
        }
        if !rows.is_empty() {
            check_scores(&pool, &rows, &what);
        }
    }
}

#[test]
fn tars_are_read_as_webdataset_reads_them() {
    compare(".tar", 12, |pool, row, sample, expected, at| {
        assert_eq!(sample.key.as_deref(), expected["key"].as_str(), "{at}");
        let image = sample.image.as_deref().map(hex);
        assert_eq!(image.as_deref(), expected["image"].as_str(), "{at}");
        let bad = expected["bad"].as_bool().unwrap();
        assert_eq!(has(pool, row, Fault::RecordMalformed), bad, "{at}");
        let missing = !bad && image.is_some() && expected["caption"].is_null();
        assert_eq!(has(pool, row, Fault::CaptionMissing), missing, "{at}");
    });
}

#[test]
fn json_lines_are_read_as_python_reads_them() {
    compare(".jsonl", 24, |pool, row, _, expected, at| {
        assert_eq!(has(pool, row, Fault::RecordMalformed), expected.is_null(), "{at}");
    });
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn files_that_are_no_shards_are_passed_over_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("0.tar"), shard(&["1"])).unwrap();
    for name in ["._0.tar", ".DS_Store", "_SUCCESS", ".0.tar.crc", "1.tar.tmp"] {
        fs::write(at(name), b"Mac OS X").unwrap();
    }
    let pool = open(folder.path()).unwrap();
    assert_eq!(pool.len(), 1);
    assert!(
        pool.notes()[0].contains("passed over 5 files that are no shards"),
        "{:?}",
        pool.notes()
    );
    // A compressed shard holds samples: it is never left out without a word.
    fs::write(at("1.tar.gz"), b"\x1f\x8b\x08\0\0\0\0\0").unwrap();
    let said = complaint(folder.path());
    assert!(said.contains("1.tar.gz: is compressed by gzip; unpack it (`gunzip`)"), "{said}");
    for (magic, name) in
        [(&b"\x28\xb5\x2f\xfd"[..], "zstd"), (b"BZh9", "bzip2"), (b"\xfd7zXZ\0", "xz")]
    {
        fs::write(at("2.tar"), magic).unwrap();
        assert!(complaint(&at("2.tar")).contains(&format!("is compressed by {name}")));
    }
    assert!(complaint(&at("pipe:cat 0.tar")).contains("is a command"));
}

#[test]
fn several_patterns_are_one_pool_and_a_key_of_the_current_folder_is_the_id() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["train", "val"] {
        fs::create_dir(folder.path().join(part)).unwrap();
        for number in ["000", "001"] {
            let uid = format!("./{part:0>29}{number}")
                .replace(|c: char| !"./0123456789abcdef".contains(c), "0");
            let tar = tar_of(&[(format!("{uid}{}.png", ""), PNG), (format!("{uid}.txt"), b"x")]);
            fs::write(folder.path().join(part).join(format!("{number}.tar")), tar).unwrap();
        }
    }
    let pool = open(&folder.path().join("{train,val}/{000..001}.tar")).unwrap();
    assert_eq!((pool.len(), pool.shards().len()), (4, 4));
    let key = pool.samples(&[1]).unwrap()[0].key.clone().unwrap();
    assert_eq!(pool.ids()[1], key[2..].parse::<SampleId>().unwrap());
    let both = format!("{0}/train/000.tar::{0}/val/001.tar", folder.path().display());
    assert_eq!(open(both.as_ref()).unwrap().ids(), [pool.ids()[0], pool.ids()[3]]);
}

#[test]
fn integers_are_ids_and_utf_16_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    let big = "123456789012345678901234567890";
    fs::write(
        &path,
        format!("{{\"id\": 3, \"text\": \"x\"}}\n{{\"id\": {big}, \"caption\": \"x\"}}\n"),
    )
    .unwrap();
    let pool = open(&path).unwrap();
    assert_eq!(pool.ids(), ["3", big].map(curate_io::ids::id_of_key));
    assert_eq!(pool.faults(), []);
    let utf16: Vec<u8> =
        "\u{feff}{\"id\": 3}\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(&path, utf16).unwrap();
    let said = complaint(&path);
    assert!(said.contains("a.jsonl: is UTF-16; save it as UTF-8"), "{said}");
}
