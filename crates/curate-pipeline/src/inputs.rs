//! What the result of a stage depends on beside its settings: each thing by name with its digest, and
//! whether a file changed while it was read.

use std::{collections::BTreeMap, path::Path};

use curate_io::{IoError, digest, watched::Watched};

/// The names of inputs that are no files.
pub(crate) const POOL: &str = "the pool";
pub(crate) const SEED: &str = "the seed";
pub(crate) const VERSION: &str = "the version of curate";

/// The inputs of a stage: by name, what identifies each.
#[derive(Default)]
pub(crate) struct Inputs {
    pub(crate) digests: BTreeMap<String, String>,
    watched: Vec<Watched>,
}

impl Inputs {
    pub(crate) fn add(&mut self, name: impl Into<String>, digest: impl Into<String>) {
        self.digests.insert(name.into(), digest.into());
    }

    /// Adds a file or a folder under what it is to the stage.
    pub(crate) fn add_path(&mut self, what: &str, path: &Path) -> Result<(), IoError> {
        // Before the digest: a change while it is taken shows in the end.
        let watched = Watched::of_all(path)?;
        let name = format!("{what} {}", path.display());
        self.add(name, digest_of(path, &watched)?);
        self.watched.extend(watched);
        Ok(())
    }

    /// An error when a file of the stage is no longer as it was when the stage began.
    pub(crate) fn check(&self) -> Result<(), IoError> {
        self.watched.iter().try_for_each(Watched::check)
    }
}

/// The digest of a file, or of all files in a folder and the folders in it.
fn digest_of(path: &Path, watched: &[Watched]) -> Result<String, IoError> {
    if !path.is_dir() {
        return digest::of_file(path);
    }
    let files: Vec<&Path> = watched.iter().map(|file| &*file.path).collect();
    Ok(digest::of_bytes(digest::of_files(&files)?.join("\n").as_bytes()))
}

/// What differs between the inputs of then and now, in words. `file` is the first file of the pool that
/// differs, and how many there are.
pub(crate) fn changes(
    then: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
    file: Option<(&Path, usize)>,
) -> Vec<String> {
    let differ = now.iter().filter_map(|(name, now)| Some((name, then.get(name)?, now)));
    let differ = differ.filter(|(_, then, now)| then != now);
    differ
        .map(|(name, then, now)| match (name.as_str(), file) {
            (SEED | VERSION, _) => format!("{name} was {then}, is {now}"),
            (POOL, Some((file, 1))) => format!("{} of the pool has changed", file.display()),
            (POOL, Some((file, n))) => {
                format!("{} and {} more files of the pool have changed", file.display(), n - 1)
            }
            _ => format!("{name} has changed"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folders_digest_is_that_of_all_its_files_and_a_change_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("shards");
        fs::create_dir(&below).unwrap();
        fs::write(folder.path().join("a"), b"1").unwrap();
        fs::write(below.join("b"), b"2").unwrap();
        let look = || {
            let mut inputs = Inputs::default();
            inputs.add_path("network", folder.path()).unwrap();
            inputs
        };
        let before = look();
        before.check().unwrap();
        assert_eq!(look().digests, before.digests);
        fs::write(below.join("b"), b"345").unwrap();
        assert_ne!(look().digests, before.digests);
        let error = before.check().unwrap_err().to_string();
        assert!(error.contains("shards/b: changed while it was read"), "{error}");
        let said = changes(&before.digests, &look().digests, None);
        assert_eq!(said, [format!("network {} has changed", folder.path().display())]);
    }

    #[test]
    fn the_pool_is_named_by_its_files() {
        let of = |pool: &str, seed: &str| {
            let pairs = [(POOL, pool), (SEED, seed)];
            pairs.map(|(name, digest)| (name.to_owned(), digest.to_owned())).into()
        };
        let file = Path::new("metadata/a.parquet");
        let said = |file| changes(&of("1", "0"), &of("2", "7"), file);
        let expected = ["metadata/a.parquet of the pool has changed", "the seed was 0, is 7"];
        assert_eq!(said(Some((file, 1))), expected);
        assert!(said(Some((file, 3)))[0].starts_with("metadata/a.parquet and 2 more files"));
        assert_eq!(said(None)[0], "the pool has changed");
    }
}
