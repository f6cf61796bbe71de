//! Pools that are opened by what was listed of them before.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::fs;

use common::{open, shard, stored, write_table};
use curate_core::{NoProgress, fault::Fault};
use curate_io::{Kind, Pool, PoolOptions, pool::BadShards};
use tempfile::TempDir;

/// Two tables, of one of which an id repeats, with arrays beside them.
fn pool() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, uids) in [("a", ["1", "2"]), ("b", ["3", "1"])] {
        let rows = uids.map(|uid| (Some(uid), Some("a text")));
        write_table(&folder.path().join(name).with_extension("parquet"), &rows);
        let array = common::f32_table(&[1.0, 2.0, 3.0, 4.0], 2, 2);
        stored(&folder.path().join(name).with_extension("npz"), "img", array);
    }
    folder
}

#[test]
fn opening_by_a_listing_reads_no_shard() {
    let folder = pool();
    let listing = folder.path().join("listing");
    let digest = Pool::open(folder.path(), PoolOptions::default(), &NoProgress)
        .unwrap()
        .save_listing(&listing)
        .unwrap();
    fs::write(folder.path().join("a.parquet"), "no table").unwrap();
    let pool = Pool::open_listed(&listing, &digest).unwrap();
    assert_eq!((pool.len(), pool.faults()), (4, &[(3, Fault::DuplicateId)][..]));
    let error = pool.column("score").unwrap_err();
    assert!(error.path.ends_with("a.parquet"), "{error}");
}

#[test]
fn a_pool_with_other_files_is_refused_by_its_listing() {
    type Harm = fn(&std::path::Path);
    let harms: [(Harm, &str); 4] = [
        (|pool| fs::remove_file(pool.join("b.npz")).unwrap(), "b.parquet: has other files"),
        (|pool| drop(fs::write(pool.join("b.npy"), "")), "b.parquet: has other files"),
        (|pool| drop(fs::copy(pool.join("b.parquet"), pool.join("c.parquet"))), "has other files"),
        (|pool| fs::remove_file(pool.join("a.parquet")).unwrap(), "has other files"),
    ];
    for (harm, said) in harms {
        let folder = pool();
        let beside = tempfile::tempdir().unwrap();
        let listing = beside.path().join("listing");
        let digest = open(folder.path()).unwrap().save_listing(&listing).unwrap();
        harm(folder.path());
        let error = Pool::open_listed(&listing, &digest).err().unwrap();
        assert_eq!(error.kind, Kind::Disagree, "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn a_shard_that_was_left_out_stays_out_and_known() {
    let folder = pool();
    fs::write(folder.path().join("c.parquet"), "no table").unwrap();
    let skip = PoolOptions { bad_shards: BadShards::Skip, ..PoolOptions::default() };
    let pool = Pool::open(folder.path(), skip, &NoProgress).unwrap();
    let listing = folder.path().join("listing");
    let digest = pool.save_listing(&listing).unwrap();
    let again = Pool::open_listed(&listing, &digest).unwrap();
    assert_eq!((again.len(), again.skipped()), (4, pool.skipped()));
    assert_eq!(again.skipped().len(), 1);
}

#[test]
fn every_cut_and_change_of_a_listing_is_refused() {
    let folder = pool();
    let listing = folder.path().join("listing");
    let digest = open(folder.path()).unwrap().save_listing(&listing).unwrap();
    let whole = fs::read(&listing).unwrap();
    for at in 0..whole.len() {
        fs::write(&listing, &whole[..at]).unwrap();
        assert!(Pool::open_listed(&listing, &digest).is_err(), "cut at {at}");
        let mut changed = whole.clone();
        changed[at] ^= 0x81;
        fs::write(&listing, &changed).unwrap();
        assert!(Pool::open_listed(&listing, &digest).is_err(), "changed at {at}");
        // With the digest of the damaged bytes: no panic, whatever it says.
        let digest = curate_io::digest::of_bytes(&changed);
        let _ = Pool::open_listed(&listing, &digest).map(|pool| pool.len());
    }
    fs::write(&listing, [&whole[..], b"more"].concat()).unwrap();
    assert!(Pool::open_listed(&listing, &digest).is_err());
}

#[test]
fn a_tar_shard_with_other_samples_than_were_listed_is_refused_when_it_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let (tar, listing) = (folder.path().join("0.tar"), folder.path().join("listing"));
    fs::write(&tar, shard(&["001", "002"])).unwrap();
    let digest = open(folder.path()).unwrap().save_listing(&listing).unwrap();
    fs::write(&tar, shard(&["001"])).unwrap();
    let pool = Pool::open_listed(&listing, &digest).unwrap();
    let error = pool.samples(&[0]).unwrap_err().to_string();
    assert!(error.contains("0.tar: has 1 samples, of which 2 were listed"), "{error}");
}
