//! Resharding against what the Python package webdataset writes (`data/make_reshard.py`).

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use common::{PNG, tar_of};
use curate_core::{NoProgress, Progress, SampleId};
use curate_io::{
    Kind, Pool, PoolOptions,
    pool::BadShards,
    reshard::{ReshardOptions, Resharded, Shuffle, reshard},
    subset::{self, SubsetFormat},
};

fn data() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "data", "reshard"].iter().collect()
}

fn golden_options() -> ReshardOptions {
    ReshardOptions { samples_per_shard: 3, ..ReshardOptions::default() }
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries.map(|e| (e.file_name().into_string().unwrap(), fs::read(e.path()).unwrap())).collect()
}

#[test]
fn shards_have_the_bytes_that_webdataset_writes() {
    let golden = files(&data().join("out"));
    assert_eq!(golden.len(), 10);
    for selection in ["subset.npy", "subset.memmap"] {
        for threads in [1, 3] {
            let out = tempfile::tempdir().unwrap();
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let found = pool.install(|| {
                let subset = data().join(selection);
                reshard(&data().join("in"), &subset, out.path(), golden_options(), &NoProgress)
            });
            let expected = Resharded {
                input_shards: 2,
                input_samples: 11,
                written: 11,
                output_shards: 4,
                own_shards: 4,
                complete: true,
                not_selected: 4,
                // The last id, and the one whose sample has no record.
                ids_without_sample: 2,
                repeated_samples: 1,
                ..Resharded::default()
            };
            assert_eq!(found.unwrap(), expected);
            let ours = files(out.path());
            for (name, bytes) in &golden {
                assert!(ours[name] == *bytes, "{name} differs ({selection}, {threads} threads)");
            }
            let more: Vec<_> = ours.keys().filter(|name| !golden.contains_key(*name)).collect();
            assert_eq!(more, [".curate-reshard.json", ".lock", "meta.json"]);
            let meta: serde_json::Value = serde_json::from_slice(&ours["meta.json"]).unwrap();
            assert_eq!(meta["output_shard_count"], 4);
            assert_eq!(meta["output_shard_format"], "{:08d}.tar");
            assert_eq!(meta["samples_per_shard"], "3");
        }
    }
}

/// A pool of `count` samples in shards of 7.
fn pool_of(folder: &Path, count: u32) -> Vec<SampleId> {
    let ids: Vec<SampleId> = (0..count).map(|i| SampleId(u128::from(i) * 77 + 1)).collect();
    for (shard, ids) in ids.chunks(7).enumerate() {
        let members: Vec<(String, Vec<u8>)> = ids
            .iter()
            .flat_map(|id| {
                let record = format!("{{\"uid\": \"{id}\"}}");
                [
                    (format!("{}.json", id.0), record.into_bytes()),
                    (format!("{}.png", id.0), PNG.to_vec()),
                ]
            })
            .collect();
        let members: Vec<(&str, &[u8])> =
            members.iter().map(|(n, b)| (n.as_str(), b.as_slice())).collect();
        fs::write(folder.join(format!("{shard:05}.tar")), tar_of(&members)).unwrap();
    }
    ids
}

fn keys_of(folder: &Path) -> Vec<String> {
    let pool = Pool::open(folder, PoolOptions::default(), &NoProgress).unwrap();
    let rows: Vec<usize> = (0..pool.len()).collect();
    pool.samples(&rows).unwrap().into_iter().map(|s| s.key.unwrap()).collect()
}

#[test]
fn a_shuffle_mixes_and_repeats_and_loses_nothing() {
    let (input, list) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ids = pool_of(input.path(), 60);
    let subset = list.path().join("s.txt");
    let wanted = [&ids[..], &ids[10..30], &ids[10..12]].concat();
    subset::write(&subset, SubsetFormat::Ids, &wanted).unwrap();
    let keys = |shuffle| {
        let out = tempfile::tempdir().unwrap();
        let options = ReshardOptions { samples_per_shard: 9, shuffle, ..ReshardOptions::default() };
        reshard(input.path(), &subset, out.path(), options, &NoProgress).unwrap();
        keys_of(out.path())
    };
    let plain = keys(None);
    assert_eq!(plain.len(), 82);
    let mixed = keys(Some(Shuffle { buffer: 20, seed: 5 }));
    assert_eq!(mixed, keys(Some(Shuffle { buffer: 20, seed: 5 })));
    assert_ne!(mixed, keys(Some(Shuffle { buffer: 20, seed: 6 })));
    assert_ne!(mixed, plain);
    let set = |keys: &[String]| keys.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(set(&mixed), set(&plain));
    assert_eq!(set(&plain).len(), 82, "every copy has a key of its own");
    assert!(plain.contains(&format!("{}-2", ids[11])));
}

/// Asks to stop after some shards were written.
struct StopAfter {
    left: AtomicUsize,
    writing: AtomicBool,
}

impl Progress for StopAfter {
    fn start(&self, task: &str, _: u64, _: &str) {
        self.writing.store(task == "write shards", Ordering::Relaxed);
    }
    fn advance(&self, _: u64) {
        if self.writing.load(Ordering::Relaxed) {
            let less = |left: usize| left.checked_sub(1);
            let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }
    fn is_cancelled(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}

#[test]
fn an_interrupted_call_goes_on_and_ends_with_the_same_bytes() {
    let (input, list) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ids = pool_of(input.path(), 50);
    let subset = list.path().join("s.npy");
    subset::write(&subset, SubsetFormat::Npy, &ids).unwrap();
    let options = ReshardOptions { samples_per_shard: 4, ..ReshardOptions::default() };
    let whole = tempfile::tempdir().unwrap();
    reshard(input.path(), &subset, whole.path(), options, &NoProgress).unwrap();

    let out = tempfile::tempdir().unwrap();
    let single = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let stop = StopAfter { left: AtomicUsize::new(5), writing: AtomicBool::new(false) };
    let error =
        single.install(|| reshard(input.path(), &subset, out.path(), options, &stop)).unwrap_err();
    assert_eq!(error.kind, Kind::Cancelled);
    assert!(!out.path().join("meta.json").exists());
    // A process that was killed leaves these.
    fs::write(out.path().join(".curate-x.part"), "half").unwrap();
    fs::remove_file(out.path().join("00000002_stats.json")).unwrap();
    let there = files(out.path()).keys().filter(|name| name.ends_with("_stats.json")).count();
    assert!((4..12).contains(&there), "{there} shards were whole when the call stopped");

    let found = reshard(input.path(), &subset, out.path(), options, &NoProgress).unwrap();
    assert_eq!((found.found_written, found.output_shards), (there, 13));
    let (mut a, mut b) = (files(out.path()), files(whole.path()));
    // Its arguments name the folder.
    assert!(a.remove("meta.json").is_some() && b.remove("meta.json").is_some());
    assert!(a == b);
}

#[test]
fn a_shard_that_finds_no_place_is_named_and_the_others_are_kept() {
    let out = tempfile::tempdir().unwrap();
    let run = || {
        let (pool, subset) = (data().join("in"), data().join("subset.npy"));
        reshard(&pool, &subset, out.path(), golden_options(), &NoProgress)
    };
    run().unwrap();
    let whole = files(out.path());
    let taken = out.path().join("00000001.tar");
    for name in ["00000001.tar", "00000001_stats.json", "00000003.tar", "meta.json"] {
        fs::remove_file(out.path().join(name)).unwrap();
    }
    fs::create_dir_all(taken.join("x")).unwrap();
    let error = run().unwrap_err();
    assert_eq!(error.path, taken, "{error}");
    assert!(!out.path().join("00000001_stats.json").exists());
    assert!(!out.path().join("meta.json").exists());
    fs::remove_dir_all(&taken).unwrap();
    run().unwrap();
    assert!(files(out.path()) == whole);
}

#[test]
fn a_folder_with_something_else_is_refused_or_replaced() {
    let (input, list) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ids = pool_of(input.path(), 20);
    let (all, some) = (list.path().join("all.npy"), list.path().join("some.npy"));
    subset::write(&all, SubsetFormat::Npy, &ids).unwrap();
    subset::write(&some, SubsetFormat::Npy, &ids[..3]).unwrap();
    let out = tempfile::tempdir().unwrap();
    let options = ReshardOptions { samples_per_shard: 5, ..ReshardOptions::default() };
    let run = |subset: &Path, out: &Path, overwrite| {
        let options = ReshardOptions { overwrite, ..options };
        reshard(input.path(), subset, out, options, &NoProgress)
    };
    fs::write(out.path().join("notes.txt"), "mine").unwrap();
    let error = run(&all, out.path(), false).unwrap_err().to_string();
    assert!(error.contains("is not empty; name another folder"), "{error}");
    assert_eq!(run(&all, out.path(), true).unwrap().output_shards, 4);
    let error = run(&some, out.path(), false).unwrap_err().to_string();
    assert!(error.contains("holds shards of another selection"), "{error}");
    assert_eq!(run(&some, out.path(), true).unwrap().output_shards, 1);
    let names: Vec<String> = files(out.path()).into_keys().collect();
    let expected = [
        ".curate-reshard.json",
        ".lock",
        "00000000.tar",
        "00000000_stats.json",
        "meta.json",
        "notes.txt",
        "sample_ids.npy",
        "sizes.json",
    ];
    assert_eq!(names, expected);
    let error = run(&all, input.path(), true).unwrap_err().to_string();
    assert!(error.contains("is the folder that the samples are read from"), "{error}");
    assert_eq!(keys_of(input.path()).len(), 20, "the input is unharmed");
    let zero = ReshardOptions { samples_per_shard: 0, ..options };
    assert!(reshard(input.path(), &all, out.path(), zero, &NoProgress).is_err());
}

#[test]
fn damaged_shards_stop_or_are_left_out_and_counted() {
    let (input, list) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let ids = pool_of(input.path(), 20);
    let subset = list.path().join("all.npy");
    subset::write(&subset, SubsetFormat::Npy, &ids).unwrap();
    let bad = input.path().join("00001.tar");
    let bytes = fs::read(&bad).unwrap();
    fs::write(&bad, &bytes[..bytes.len() / 2]).unwrap();
    let out = tempfile::tempdir().unwrap();
    let error = reshard(input.path(), &subset, out.path(), ReshardOptions::default(), &NoProgress);
    assert_eq!(error.unwrap_err().kind, Kind::Truncated);
    let options = ReshardOptions { bad_shards: BadShards::Skip, ..ReshardOptions::default() };
    let found = reshard(input.path(), &subset, out.path(), options, &NoProgress).unwrap();
    assert_eq!((found.written, found.ids_without_sample, found.skipped.len()), (13, 7, 1));
    assert_eq!(found.skipped[0].name, "00001");
    // The shard is whole now: what lies in the folder is no part of the new result.
    fs::write(&bad, &bytes).unwrap();
    let error = reshard(input.path(), &subset, out.path(), options, &NoProgress).unwrap_err();
    assert!(error.to_string().contains("holds shards of another selection, pool"), "{error}");
    let options = ReshardOptions { overwrite: true, ..options };
    let found = reshard(input.path(), &subset, out.path(), options, &NoProgress).unwrap();
    assert_eq!((found.written, found.found_written), (20, 0));
}

#[test]
fn hostile_keys_and_long_endings_stay_names_of_members() {
    let (input, list) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let uid = "00000000000000000000000000000abc";
    let record = format!("{{\"uid\": \"{uid}\"}}");
    // A name of 99 bytes: with the longer new key the ending needs a header of its own.
    let long = format!("a.{}", "e".repeat(97));
    let members: [(&str, &[u8]); 5] = [
        ("../../x.json", record.as_bytes()),
        ("../../x.png", PNG),
        ("b.json", b"{\"uid\": \"../escape\"}"),
        (&long, b"long"),
        ("a.json", b"{\"uid\": \"abc\"}"),
    ];
    fs::write(input.path().join("0.tar"), tar_of(&members)).unwrap();
    let subset = list.path().join("s.txt");
    fs::write(&subset, format!("{uid}\n")).unwrap();
    let out = tempfile::tempdir().unwrap();
    let found =
        reshard(input.path(), &subset, out.path(), ReshardOptions::default(), &NoProgress).unwrap();
    assert_eq!((found.written, found.without_id, found.repeated_samples), (2, 1, 1));
    let bytes = fs::read(out.path().join("00000000.tar")).unwrap();
    let mut archive = tar::Archive::new(&bytes[..]);
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|e| String::from_utf8(e.unwrap().path_bytes().into_owned()).unwrap())
        .collect();
    let ending = "e".repeat(97);
    let expected = [
        format!("{uid}-0.json"),
        format!("{uid}-0.png"),
        format!("abc-0.{ending}"),
        "abc-0.json".to_owned(),
    ];
    assert_eq!(names, expected);
}

/// What webdataset accepts: no name twice in a sample, and samples side by side under two keys.
#[test]
fn bad_records_and_names_that_repeat_cost_their_sample_or_member_alone() {
    let (input, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let uid = "00000000000000000000000000000abc";
    let record = format!("{{\"uid\": \"{uid}\", \"score\": NaN}}");
    let members: [(&str, &[u8]); 8] = [
        ("a.json", record.as_bytes()),
        ("a.png", PNG),
        ("a.PNG", b"second"),
        ("b.json", record.as_bytes()),
        ("b.png", PNG),
        ("c.json", b"[1]"),
        ("d.json", b"{\"uid\": \"5\"}"),
        ("e.png", PNG),
    ];
    fs::write(input.path().join("0.tar"), tar_of(&members)).unwrap();
    let subset = input.path().join("s.jsonl");
    fs::write(&subset, format!("\u{feff}{{\"uid\": \"{uid}\"}}\r\n")).unwrap();
    let options = ReshardOptions::default();
    let found = reshard(input.path(), &subset, out.path(), options, &NoProgress).unwrap();
    assert_eq!((found.written, found.bad_records, found.not_selected), (2, 1, 2));
    assert_eq!((found.without_id, found.repeated_members, found.repeated_samples), (0, 1, 1));
    let bytes = fs::read(out.path().join("00000000.tar")).unwrap();
    let mut archive = tar::Archive::new(&bytes[..]);
    let name = |e: tar::Entry<'_, &[u8]>| String::from_utf8(e.path_bytes().into_owned()).unwrap();
    let names: Vec<String> = archive.entries().unwrap().map(|e| name(e.unwrap())).collect();
    assert_eq!(names, ["0.json", "0.png", "1.json", "1.png"].map(|end| format!("{uid}-{end}")));
}
