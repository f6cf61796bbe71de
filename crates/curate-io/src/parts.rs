//! A pool in pieces that are opened one at a time.

use std::path::{Path, PathBuf};

use crate::{
    IoError,
    pool::{Format, detect, shard_files},
};

/// The paths that, opened as pools one after the other, have the rows of the pool at `path`, in its
/// order. What is known of a pool's samples is in memory while it is open; a piece needs that of its
/// own alone. A folder of tar shards comes apart into its files, every other layout is one piece.
///
/// # Errors
/// When there is no pool.
pub fn parts(path: &Path, format: Option<Format>) -> Result<Vec<PathBuf>, IoError> {
    let format = format.map_or_else(|| detect(path), Ok)?;
    if format != Format::Webdataset {
        return Ok(vec![path.to_owned()]);
    }
    let inner = path.join("shards");
    shard_files(if inner.is_dir() { &inner } else { path }, "tar")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Pool, PoolOptions};
    use curate_core::NoProgress;

    fn tar(path: &Path, keys: &[&str]) {
        let mut tar = tar::Builder::new(std::fs::File::create(path).unwrap());
        for key in keys {
            let mut header = tar::Header::new_gnu();
            header.set_size(1);
            header.set_mode(0o644);
            tar.append_data(&mut header, format!("{key}.png"), &b"x"[..]).unwrap();
        }
        tar.finish().unwrap();
    }

    #[test]
    fn pieces_have_the_rows_of_the_whole_in_its_order() {
        let folder = tempfile::tempdir().unwrap();
        let shards = folder.path().join("shards");
        std::fs::create_dir(&shards).unwrap();
        tar(&shards.join("01.tar"), &["c"]);
        tar(&shards.join("00.tar"), &["a", "b"]);
        let ids = |path: &Path| {
            Pool::open(path, PoolOptions::default(), &NoProgress).unwrap().ids().to_vec()
        };
        for whole in [folder.path().to_owned(), shards.clone(), shards.join("{00..01}.tar")] {
            let pieces = parts(&whole, None).unwrap();
            assert_eq!(pieces, [shards.join("00.tar"), shards.join("01.tar")]);
            assert_eq!(pieces.iter().flat_map(|p| ids(p)).collect::<Vec<_>>(), ids(&whole));
        }
        let one = shards.join("00.tar");
        assert_eq!(parts(&one, None).unwrap(), [one]);
        assert!(parts(&folder.path().join("none"), None).is_err());
    }
}
