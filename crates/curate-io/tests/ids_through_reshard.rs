//! Ids of samples that have keys alone go through a reshard, and a selection of another pool is refused.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::path::Path;

use common::{PNG, tar_of};
use curate_core::{NoProgress, SampleId};
use curate_io::{
    Kind, Pool, PoolOptions,
    ids::IdOrigins,
    reshard::{ReshardOptions, Resharded, reshard},
    subset::{self, SubsetFormat},
};

/// img2dataset's layout without a `uid`: the key says nothing but the sample's number.
fn write(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    for shard in 0..2 {
        let members: Vec<(String, Vec<u8>)> = (0..5)
            .flat_map(|row| {
                let key = format!("{shard:05}{row:04}");
                let caption = format!("{{\"caption\": \"sample {key}\"}}").into_bytes();
                [(format!("{key}.png"), PNG.to_vec()), (format!("{key}.json"), caption)]
            })
            .collect();
        let members: Vec<(&str, &[u8])> = members.iter().map(|(n, b)| (&n[..], &b[..])).collect();
        std::fs::write(folder.join(format!("{shard:05}.tar")), tar_of(&members)).unwrap();
    }
}

fn open(folder: &Path) -> Pool {
    Pool::open(folder, PoolOptions::default(), &NoProgress).unwrap()
}

fn copy(pool: &Path, subset: &Path, out: &Path) -> Result<Resharded, curate_io::IoError> {
    reshard(pool, subset, out, ReshardOptions::default(), &NoProgress)
}

#[test]
fn hashed_ids_stay_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    write(&at("pool"));
    let pool = open(&at("pool"));
    assert_eq!(pool.id_origins(), IdOrigins { hashed: 10, ..IdOrigins::default() });
    assert_eq!(pool.id_origins().to_string(), "10 hashed from keys");
    let chosen: Vec<SampleId> = [7, 2, 4].map(|row| pool.ids()[row]).to_vec();
    subset::write(&at("subset.npy"), SubsetFormat::Npy, &chosen).unwrap();

    assert_eq!(copy(&at("pool"), &at("subset.npy"), &at("once")).unwrap().written, 3);
    let once = open(&at("once"));
    assert_eq!(once.id_origins(), IdOrigins { key: 3, ..IdOrigins::default() });
    let mut ids = once.ids().to_vec();
    ids.sort_unstable();
    let mut expected = chosen.clone();
    expected.sort_unstable();
    assert_eq!(ids, expected);
    // The selection that was made of the first pool is one of the second too.
    assert_eq!(copy(&at("once"), &at("subset.npy"), &at("twice")).unwrap().written, 3);

    subset::write(&at("other.npy"), SubsetFormat::Npy, &[SampleId(1), SampleId(2)]).unwrap();
    let error = copy(&at("pool"), &at("other.npy"), &at("none")).unwrap_err();
    assert_eq!(error.kind, Kind::Disagree);
    let said = "other.npy: names 2 ids, of which none is that of one of 10 samples";
    assert!(error.to_string().contains(said), "{error}");
    assert!(!at("none").join("sizes.json").exists());
}
