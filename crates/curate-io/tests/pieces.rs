//! A pool that comes apart into its shards.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use std::{fs, path::Path};

use common::{open, shard};
use curate_io::pieces;

#[test]
fn pieces_have_the_rows_of_the_whole_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let shards = folder.path().join("shards");
    fs::create_dir(&shards).unwrap();
    fs::write(shards.join("01.tar"), shard(&["3"])).unwrap();
    fs::write(shards.join("00.tar"), shard(&["1", "2"])).unwrap();
    let ids = |path: &Path| open(path).unwrap().ids().to_vec();
    for whole in [folder.path().to_owned(), shards.clone(), shards.join("{00..01}.tar")] {
        let pieces = pieces(&whole, None).unwrap();
        assert_eq!(pieces, [shards.join("00.tar"), shards.join("01.tar")]);
        assert_eq!(pieces.iter().flat_map(|p| ids(p)).collect::<Vec<_>>(), ids(&whole));
    }
    let one = shards.join("00.tar");
    assert_eq!(pieces(&one, None).unwrap(), [one]);
    assert!(pieces(&folder.path().join("none"), None).is_err());
}
