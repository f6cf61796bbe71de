//! Resharding into a folder that holds something already, and reading what an interrupted call left.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, SystemTime},
};

use common::tar_of;
use curate_core::NoProgress;
use curate_io::{
    Kind, Pool, PoolOptions,
    lock::FolderLock,
    pool::IdsFrom,
    reshard::{ReshardOptions, reshard},
    stamp::Check,
    subset::{self, SubsetFormat},
};

/// Bytes of an image: the samples of files lie far apart in them.
const IMAGE: usize = 100_000;

/// Four shards, all samples of which are wanted.
struct Setting(common::setting::Setting);

impl std::ops::Deref for Setting {
    type Target = common::setting::Setting;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Setting {
    fn new() -> Self {
        Self(common::setting::Setting::new(4, &[1; IMAGE], |_| true))
    }

    /// Shards that were there, and shards that were written again.
    fn again(&self, check: Check) -> (usize, usize) {
        let options = ReshardOptions { check, ..ReshardOptions::default() };
        let found = self.call("out", options).unwrap();
        (found.found_written, found.written_again)
    }

    fn as_a_fresh_call_writes(&self) -> bool {
        let _ = fs::remove_dir_all(self.path("fresh"));
        self.call("fresh", ReshardOptions::default()).unwrap();
        self.files("out") == self.files("fresh")
    }
}

fn time_of(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

fn set_time(path: &Path, time: SystemTime) {
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// Turns a byte around and leaves the file's length and its time.
fn damage(path: &Path, at: usize) {
    let time = time_of(path);
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
    set_time(path, time);
}

#[test]
fn samples_that_changed_at_their_places_are_written_again() {
    let setting = Setting::new();
    setting.call("out", ReshardOptions::default()).unwrap();
    assert_eq!(setting.again(Check::Sample), (6, 0));

    // Touched and the same: read, and nothing is written.
    set_time(&setting.input(1), SystemTime::UNIX_EPOCH + Duration::from_secs(9));
    assert_eq!(setting.again(Check::Sample), (6, 0));

    // The samples 3, 4, 5 in the output shards 1 and 2.
    let time = time_of(&setting.input(1));
    setting.write_input(1, &[2; IMAGE]);
    assert_eq!(setting.again(Check::Sample), (4, 2));
    assert!(setting.as_a_fresh_call_writes());

    // A byte that the sample of the file does not have, under the old time.
    set_time(&setting.input(1), time);
    assert_eq!(setting.again(Check::Sample), (6, 0));
    damage(&setting.input(1), 5000);
    assert_eq!(setting.again(Check::Sample), (6, 0), "as the documents say");
    assert_eq!(setting.again(Check::Whole), (5, 1));
    assert!(setting.as_a_fresh_call_writes());
}

#[test]
fn shards_that_are_not_what_was_written_are_written_again() {
    let setting = Setting::new();
    setting.call("out", ReshardOptions::default()).unwrap();
    let out = |name: &str| setting.path("out").join(name);
    fs::write(out("00000000.tar"), b"").unwrap();
    fs::remove_file(out("00000002.tar")).unwrap();
    fs::copy(out("00000004.tar"), out("00000003.tar")).unwrap();
    damage(&out("00000005.tar"), 5000);
    assert_eq!(setting.again(Check::Sample), (2, 4));
    assert!(setting.as_a_fresh_call_writes());
}

#[test]
fn a_folder_that_is_not_whole_is_no_pool() {
    let setting = Setting::new();
    setting.call("out", ReshardOptions::default()).unwrap();
    // Something in the place of a shard ends the second call before that shard is there.
    let taken = setting.path("out/00000004.tar");
    fs::remove_file(&taken).unwrap();
    fs::create_dir_all(taken.join("x")).unwrap();
    let error = setting.call("out", ReshardOptions::default()).unwrap_err();
    assert_eq!(error.path, taken, "{error}");
    fs::remove_dir_all(&taken).unwrap();
    fs::remove_file(setting.path("out/00000004_stats.json")).unwrap();
    let said = || {
        let opened = Pool::open(&setting.path("out"), PoolOptions::default(), &NoProgress);
        opened.map(|pool| pool.len()).map_err(|error| (error.kind, error.to_string()))
    };
    let (kind, error) = said().unwrap_err();
    assert_eq!(kind, Kind::Truncated);
    assert!(error.contains("out: 5 of 6 shards are written; run it to its end"), "{error}");

    let found = setting.call("out", ReshardOptions::default()).unwrap();
    assert_eq!((found.found_written, found.written_again), (5, 0));
    assert!(setting.as_a_fresh_call_writes());
    assert_eq!(said(), Ok(12));
    let pool = Pool::open(&setting.path("out"), PoolOptions::default(), &NoProgress).unwrap();
    assert!(pool.notes().is_empty(), "its own files are none to pass over: {:?}", pool.notes());

    let tar = setting.path("out/00000003.tar");
    let whole = fs::read(&tar).unwrap();
    fs::write(&tar, &whole[..whole.len() - 10_240]).unwrap();
    let (_, error) = said().unwrap_err();
    assert!(error.contains("00000003.tar: has ") && error.contains("was written with"), "{error}");
    fs::remove_file(&tar).unwrap();
    let (_, error) = said().unwrap_err();
    assert!(error.contains("00000003.tar: is missing; run the resharding again"), "{error}");
    // Who names the shards knows which there are.
    let named = setting.path("out/{00000000..00000002}.tar");
    assert_eq!(Pool::open(&named, PoolOptions::default(), &NoProgress).unwrap().len(), 6);
}

#[test]
fn two_calls_at_once_do_not_write_to_one_folder() {
    let setting = Setting::new();
    let lock = FolderLock::take(&setting.path("out")).unwrap();
    let error = setting.call("out", ReshardOptions::default()).unwrap_err();
    assert_eq!((error.kind, error.path), (Kind::Busy, setting.path("out")));
    drop(lock);
    setting.call("out", ReshardOptions::default()).unwrap();
}

/// As in pools: an id of such a key is one sample of many, and nobody knows which one was meant.
#[test]
fn keys_that_begin_anew_are_an_error_until_it_is_said_what_an_id_is() {
    let folder = tempfile::tempdir().unwrap();
    for shard in ["s0/0", "s1/0"] {
        let path = folder.path().join(format!("{shard}.tar"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let members: [(&str, &[u8]); 2] = [("000.png", b"a"), ("001.png", b"b")];
        fs::write(path, tar_of(&members)).unwrap();
    }
    let pattern = folder.path().join("{s0,s1}/0.tar");
    let subset = folder.path().join("s.npy");
    let call = |out: &str, ids: Option<IdsFrom>| {
        let options = ReshardOptions { ids, ..ReshardOptions::default() };
        reshard(&pattern, &subset, &folder.path().join(out), options, &NoProgress)
    };
    let by_shard = PoolOptions { ids: Some(IdsFrom::ShardAndKey), ..PoolOptions::default() };
    let ids = Pool::open(&pattern, by_shard, &NoProgress).unwrap().ids().to_vec();
    subset::write(&subset, SubsetFormat::Npy, &ids[1..3]).unwrap();
    let error = call("a", None).unwrap_err();
    assert_eq!(error.kind, Kind::Disagree);
    assert!(error.to_string().contains("begin anew in every shard, `s1_0` for one"), "{error}");
    let error = call("a", Some(IdsFrom::Key)).unwrap_err();
    assert!(error.to_string().contains("of which none is that of one of 4 samples"), "{error}");
    let found = call("b", Some(IdsFrom::ShardAndKey)).unwrap();
    assert_eq!((found.written, found.not_selected, found.repeated_samples), (2, 2, 0));
    let tar = fs::read(folder.path().join("b/00000000.tar")).unwrap();
    let mut archive = tar::Archive::new(&tar[..]);
    let name = |e: tar::Entry<'_, &[u8]>| String::from_utf8(e.path_bytes().into_owned()).unwrap();
    let names: Vec<String> = archive.entries().unwrap().map(|e| name(e.unwrap())).collect();
    assert_eq!(names, [format!("{}-0.png", ids[1]), format!("{}-0.png", ids[2])]);
}
