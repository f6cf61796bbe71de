//! Embedding by several processes that share the folder.

use std::{
    fs,
    time::{Duration, SystemTime},
};

use curate_core::NoProgress;
use curate_dfn::filter::{EmbedParams, EmbedReport, Embedded};
use curate_io::{Pool, PoolOptions, lock::FolderLock, pool::BadShards};

use super::{NETWORK, Setting, files, pairs, set_time, write_tar};

/// Two processes share the folder, in any order; a run of the whole then finds all shards, and the folder is that
/// of one process.
#[test]
fn parts_make_the_folder_of_one_process() {
    let setting = Setting::new();
    let part = |index: usize, tasks: usize| {
        let embed = EmbedParams::new(setting.path("parts")).check().unwrap().part(index, tasks);
        embed.run_path(&NETWORK, &setting.path("pool"), PoolOptions::default(), &NoProgress)
    };
    assert_eq!(part(1, 2).unwrap().shards, 1);
    let error = Embedded::open(&setting.path("parts"), "dfn").err().unwrap().to_string();
    assert!(error.contains("1 of 3 shards are embedded; run it to its end"), "{error}");
    // Another process has the folder meanwhile, and has shards of its own.
    let beside = FolderLock::share(&setting.path("parts")).unwrap();
    assert_eq!(part(0, 2).unwrap(), EmbedReport { rows: 4, shards: 2, ..EmbedReport::default() });
    assert_eq!(part(0, 2).unwrap().reused, 2);
    assert_eq!(part(3, 4).unwrap(), EmbedReport::default(), "more tasks than shards");
    drop(beside);
    let whole = EmbedParams::new(setting.path("parts")).check().unwrap();
    let whole =
        || whole.run_path(&NETWORK, &setting.path("pool"), PoolOptions::default(), &NoProgress);
    assert_eq!(whole().unwrap().reused, 3);
    // A job that comes again leaves the folder whole, until it has to write.
    assert!(part(1, 2).unwrap().complete && setting.opens("parts"));
    fs::remove_file(setting.path("parts/00001.npz")).unwrap();
    let again = part(1, 2).unwrap();
    assert!(again.again == 1 && !again.complete && !setting.opens("parts"));
    assert!(whole().unwrap().complete && setting.opens("parts"));
    set_time(&setting.shard(1), SystemTime::now() + Duration::from_secs(9));
    assert!(!part(1, 2).unwrap().complete, "what was touched is noted in the shard's record");
    assert!(!part(0, 2).unwrap().complete && whole().unwrap().complete);
    setting.embed();
    let bytes = |folder: &str| {
        let mut found = files(&setting.path(folder));
        found.retain(|name, _| name.ends_with(".npz") || name.ends_with(".parquet"));
        found
    };
    assert_eq!(bytes("parts").len(), 6);
    assert!(bytes("parts") == bytes("e"));
    // Alone it waits for nobody.
    let alone = FolderLock::take(&setting.path("parts")).unwrap();
    let error = part(0, 2).unwrap_err();
    assert!(error.to_string().contains("is being written to by another process"), "{error}");
    drop(alone);
    // An open pool, whose shards are opened all at once, is divided in the same way.
    let pool = Pool::open(&setting.path("pool"), PoolOptions::default(), &NoProgress).unwrap();
    let embed = EmbedParams::new(setting.path("open")).check().unwrap();
    assert_eq!(embed.clone().part(0, 2).run(&NETWORK, &pool, &NoProgress).unwrap().shards, 2);
    assert_eq!(embed.clone().part(1, 2).run(&NETWORK, &pool, &NoProgress).unwrap().shards, 1);
    assert_eq!(embed.run(&NETWORK, &pool, &NoProgress).unwrap().reused, 3);
    assert!(bytes("open") == bytes("e"));
}

/// A part opens its own shards, and few others to compare keys: what a key is must be known before a network works
/// for hours.
#[test]
fn a_part_leaves_other_shards_alone_but_notices_keys_that_begin_anew() {
    let folder = tempfile::tempdir().unwrap();
    let write = |shard: &str, key: &str| {
        write_tar(&folder.path().join(format!("{shard}.tar")), &pairs(key, "a cat"));
    };
    [("0", "a"), ("1", "a"), ("2", "a"), ("3", "c"), ("4", "d")]
        .iter()
        .for_each(|(shard, key)| write(shard, key));
    let embed = EmbedParams::new(folder.path().join("e")).check().unwrap();
    let part = |index, tasks| {
        let part = embed.clone().part(index, tasks);
        part.run_path(
            &NETWORK,
            &folder.path().join("{0..4}.tar"),
            PoolOptions::default(),
            &NoProgress,
        )
    };
    let error = part(1, 5).unwrap_err().to_string();
    assert!(error.contains("keys that begin anew in every shard, `0` for one"), "{error}");
    // Two of five are not every shard, for one process as for several.
    write("2", "b");
    assert_eq!(part(1, 5).unwrap().shards, 1);
    fs::write(folder.path().join("3.tar"), b"no tar").unwrap();
    assert_eq!(part(0, 2).unwrap().shards, 3);
    let error = part(1, 2).unwrap_err().to_string();
    assert!(error.contains("3.tar"), "{error}");
    // Left out by its own process as by one that has them all, though that has no other.
    let skip = PoolOptions { bad_shards: BadShards::Skip, ..PoolOptions::default() };
    let last = embed.clone().part(3, 5);
    let report = last.run_path(&NETWORK, &folder.path().join("{0..4}.tar"), skip, &NoProgress);
    assert_eq!(report.unwrap().skipped.len(), 1);
}
