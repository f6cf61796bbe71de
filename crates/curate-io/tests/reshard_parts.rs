//! A resharding whose work several tasks share.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::fs;

use common::shard;
use curate_core::{NoProgress, SampleId};
use curate_io::{
    IoError, Kind, Pool, PoolOptions,
    lock::FolderLock,
    pool::{BadShards, IdsFrom},
    reshard::{Part, ReshardOptions, Resharded, Shuffle},
    stamp::Check,
};

const TASKS: usize = 3;

/// Seven shards, two of every three samples of which are wanted.
struct Setting(common::setting::Setting);

impl std::ops::Deref for Setting {
    type Target = common::setting::Setting;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Setting {
    fn new() -> Self {
        Self(common::setting::Setting::new(7, &[7], |i| i % 3 > 0))
    }

    fn task(&self, index: usize, options: ReshardOptions) -> Result<Resharded, IoError> {
        let part = Some(Part { index, tasks: TASKS });
        self.call("out", ReshardOptions { part, ..options })
    }

    /// Every task, again until it is done.
    fn all_tasks(&self, options: ReshardOptions) {
        let mut left: Vec<usize> = (0..TASKS).collect();
        for _ in 0..2 {
            left.retain(|&index| match self.task(index, options) {
                Ok(found) => found.complete,
                Err(error) => {
                    assert_eq!(error.kind, Kind::Busy, "{error}");
                    true
                }
            });
        }
        assert_eq!(left, [0_usize; 0]);
    }

    /// The last call; what it wrote has to be what one call writes.
    fn complete(&self, options: ReshardOptions) -> Resharded {
        let found = self.call("out", options).unwrap();
        let fresh = self.call("fresh", options).unwrap();
        assert_eq!(self.files("out"), self.files("fresh"));
        let bare = |found: &Resharded| Resharded { found_written: 0, ..found.clone() };
        assert_eq!(bare(&found), bare(&fresh));
        found
    }
}

#[test]
fn tasks_read_and_write_a_part_each_and_a_last_call_completes_the_folder() {
    let setting = Setting::new();
    let options = ReshardOptions::default();
    let error = setting.task(1, options).unwrap_err();
    assert_eq!((error.kind, &error.path), (Kind::Busy, &setting.path("out")));
    let expected = "5 of 7 input shards are for other tasks to read; give the same command again";
    assert!(error.to_string().contains(expected), "{error}");
    assert!(setting.task(0, options).is_err());
    let found = setting.task(2, options).unwrap();
    assert_eq!((found.output_shards, found.own_shards, found.written), (7, 2, 14));
    assert!(!found.complete && found.found_written == 0);
    let said = Pool::open(&setting.path("out"), PoolOptions::default(), &NoProgress).err().unwrap();
    assert!(said.to_string().contains("2 of 7 shards are written; run it to its end"), "{said}");

    assert_eq!(setting.task(0, options).unwrap().own_shards, 3);
    assert_eq!(setting.task(2, options).unwrap().found_written, 2, "done before");
    // Task 1 is missing: the last call does its part.
    let found = setting.complete(options);
    assert_eq!((found.found_written, found.own_shards, found.complete), (5, 7, true));
    // Late, as a scheduler may: the folder stays whole.
    let late = setting.task(1, options).unwrap();
    assert_eq!((late.found_written, late.complete), (2, true));
    assert_eq!(setting.complete(options).found_written, 7);
}

#[test]
fn tasks_leave_a_complete_folder_alone_that_is_not_theirs_or_not_whole() {
    let setting = Setting::new();
    let options = ReshardOptions::default();
    setting.all_tasks(options);
    setting.complete(options);
    let refused = |index: usize, options: ReshardOptions| {
        let error = setting.task(index, options).unwrap_err();
        assert_eq!(error.kind, Kind::Occupied, "{error}");
        assert!(error.to_string().contains("may not be what this task would leave"), "{error}");
    };
    refused(0, ReshardOptions { check: Check::Whole, ..options });
    refused(0, ReshardOptions { shuffle: Some(Shuffle { buffer: 2, seed: 1 }), ..options });
    let tar = setting.path("out/00000001.tar");
    let whole = fs::read(&tar).unwrap();
    fs::write(&tar, &whole[512..]).unwrap();
    refused(1, options);
    assert!(setting.task(0, options).unwrap().complete, "its own are whole");
    assert_eq!(setting.call("out", options).unwrap().written_again, 1);
    // Other images of the same length.
    setting.write_input(4, &[8]);
    refused(0, options);
    assert!(!setting.path("out/.curate-scans").exists());
    assert_eq!(setting.call("out", options).unwrap().written_again, 1);
    // A new shard.
    fs::copy(setting.input(0), setting.input(9)).unwrap();
    refused(0, options);
}

#[cfg(unix)]
#[test]
fn a_shard_that_is_missing_is_left_out_by_all_tasks() {
    let setting = Setting::new();
    fs::remove_file(setting.input(2)).unwrap();
    std::os::unix::fs::symlink("nowhere", setting.input(2)).unwrap();
    let skip = ReshardOptions { bad_shards: BadShards::Skip, ..ReshardOptions::default() };
    setting.all_tasks(skip);
    assert_eq!(setting.complete(skip).skipped.len(), 1);
    assert!(setting.task(0, skip).unwrap().complete);
    // It is there by now.
    fs::remove_file(setting.input(2)).unwrap();
    setting.write_input(2, &[7]);
    let error = setting.call("out", skip).unwrap_err();
    assert_eq!(error.kind, Kind::Occupied, "{error}");
}

#[test]
fn an_input_shard_is_read_by_one_task_alone() {
    let setting = Setting::new();
    let options = ReshardOptions::default();
    (0..TASKS).for_each(|index| drop(setting.task(index, options)));
    let scan = setting.path("out/.curate-scans/00000004.scan");
    // What task 1 found in shard 4 is what task 0 goes by: without it, it waits.
    let whole = fs::read(&scan).unwrap();
    for harm in [vec![], whole[..whole.len() - 1].to_vec(), [&whole[..], b"x"].concat()] {
        fs::write(&scan, harm).unwrap();
        let error = setting.task(0, options).unwrap_err().to_string();
        assert!(error.contains("1 of 7 input shards are for other tasks to read"), "{error}");
    }
    fs::write(&scan, whole).unwrap();
    setting.task(0, options).unwrap();
    setting.complete(options);
}

#[test]
fn an_input_shard_that_changed_is_read_again_and_what_was_made_of_it_written_again() {
    let setting = Setting::new();
    let options = ReshardOptions::default();
    setting.all_tasks(options);
    setting.write_input(4, &[7; 3_000]);
    let error = setting.task(0, options).unwrap_err();
    assert_eq!(error.kind, Kind::Busy, "{error}");
    let error = setting.task(1, options).unwrap_err();
    assert_eq!(error.kind, Kind::Occupied, "its samples lie elsewhere: {error}");
    let overwrite = ReshardOptions { overwrite: true, ..options };
    let found = setting.call("out", overwrite).unwrap();
    assert_eq!((found.found_written, found.complete), (0, true));
    assert_eq!(setting.complete(options).found_written, 7);
}

#[test]
fn a_shuffle_and_shards_that_are_left_out_are_those_of_one_call() {
    let setting = Setting::new();
    fs::write(setting.input(2), "no tar").unwrap();
    let shuffle = Some(Shuffle { buffer: 5, seed: 3 });
    let options = ReshardOptions { shuffle, ..ReshardOptions::default() };
    assert!(setting.task(1, options).is_err_and(|error| error.kind == Kind::Busy));
    let error = setting.task(2, options).unwrap_err();
    assert_eq!(error.path, setting.input(2), "it is its own: {error}");
    let skip = ReshardOptions { bad_shards: BadShards::Skip, ..options };
    setting.all_tasks(skip);
    let error = setting.call("out", options).unwrap_err();
    assert_eq!(error.path, setting.input(2), "not asked to leave it out: {error}");
    let found = setting.complete(skip);
    assert_eq!((found.skipped.len(), found.written, found.found_written), (1, 12, 6));
}

#[test]
fn a_shard_that_tasks_left_out_and_that_can_be_read_by_now_is_not_lost() {
    let setting = Setting::new();
    let length = fs::metadata(setting.input(2)).unwrap().len();
    fs::write(setting.input(2), vec![0xff; length as usize]).unwrap();
    let time = fs::metadata(setting.input(2)).unwrap().modified().unwrap();
    let skip = ReshardOptions { bad_shards: BadShards::Skip, ..ReshardOptions::default() };
    setting.all_tasks(skip);
    // As if reading alone had failed: the file is as it was to whoever looks at length and time.
    let scans = fs::read_dir(setting.path("out/.curate-scans")).unwrap().count();
    assert_eq!(scans, 7);
    setting.write_input(2, &[7]);
    let file = fs::File::options().write(true).open(setting.input(2)).unwrap();
    file.set_modified(time).unwrap();
    let error = setting.call("out", skip).unwrap_err();
    assert_eq!(error.kind, Kind::Occupied, "its samples are missing there: {error}");
    let overwrite = ReshardOptions { overwrite: true, ..skip };
    assert_eq!(setting.call("out", overwrite).unwrap().written, 14);
}

#[test]
fn keys_that_begin_anew_are_refused_by_every_task() {
    let setting = Setting::new();
    for k in 0..7 {
        fs::write(setting.input(k), shard(&["1", "2", "3"])).unwrap();
    }
    let ids = [SampleId(1)];
    setting.select(&ids);
    let pool = Pool::open(
        &setting.path("in"),
        PoolOptions { ids: Some(IdsFrom::ShardAndKey), ..PoolOptions::default() },
        &NoProgress,
    )
    .unwrap();
    setting.select(&pool.ids()[2..9]);
    let by_shard = ReshardOptions { ids: Some(IdsFrom::ShardAndKey), ..ReshardOptions::default() };
    setting.all_tasks(by_shard);
    assert_eq!(setting.complete(by_shard).written, 7);
    fs::remove_dir_all(setting.path("out")).unwrap();
    let keys: Vec<SampleId> =
        Pool::open_piece(&setting.input(0), "0", PoolOptions::default()).unwrap().ids().to_vec();
    setting.select(&keys);
    let by_key = ReshardOptions::default();
    let said = (0..TASKS).map(|index| setting.task(index, by_key).unwrap_err().to_string());
    let said: Vec<String> = said.collect();
    assert!(said[2].contains("begin anew in every shard"), "{said:?}");
}

#[test]
fn what_a_task_cannot_do_is_refused() {
    let setting = Setting::new();
    let options = ReshardOptions::default();
    let error = setting.task(TASKS, options).unwrap_err().to_string();
    assert!(error.contains("there is no such task"), "{error}");
    let error = setting.task(0, ReshardOptions { overwrite: true, ..options }).unwrap_err();
    assert!(error.to_string().contains("cannot replace what is there"), "{error}");
    let alone = FolderLock::take(&setting.path("out")).unwrap();
    let error = setting.task(0, options).unwrap_err();
    assert!(error.to_string().contains("is being written to by another process"), "{error}");
    drop(alone);
    let with_others = FolderLock::share(&setting.path("out")).unwrap();
    assert!(setting.call("out", options).is_err_and(|error| error.kind == Kind::Busy));
    drop(with_others);
    setting.all_tasks(options);
    // Of another selection.
    setting.select(&[SampleId(1)]);
    let said: Vec<Kind> = (0..TASKS).map(|t| setting.task(t, options).unwrap_err().kind).collect();
    assert_eq!(said, [Kind::Busy, Kind::Busy, Kind::Occupied]);
}
