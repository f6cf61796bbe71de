//! The files of a pool's shards: those of a folder, of a pattern, or one.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Component, Path, PathBuf},
};

use crate::{
    error::{IoError, Kind},
    lock::LOCK,
    pattern::{check_no_pipe, expand},
};

/// How names of compressed shards go on.
const COMPRESSIONS: [&str; 6] = ["gz", "zst", "bz2", "xz", "lz4", "zstd"];

/// The files with one of these endings in a folder, by name; or the file itself; or the files of a
/// pattern, whether they exist or not.
pub(crate) fn shard_files(path: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, IoError> {
    check_no_pipe(path)?;
    if let Some(files) = expand(path)? {
        return Ok(files);
    }
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if path.exists() && !path.is_dir() {
        // A pipe or a device: the error says so.
        crate::files::open(path)?;
    }
    let entries = std::fs::read_dir(path).map_err(|e| IoError::os(path, "read", e))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|e| IoError::os(path, "read", e))?.path();
        if is_shard(&file, endings) {
            files.push(file);
        }
    }
    files.sort_unstable();
    if files.is_empty() {
        let problem = format!("holds no file that ends in .{}", endings.join(" or ."));
        return Err(IoError::new(Kind::NotFound, path, problem, "check the path"));
    }
    Ok(files)
}

/// True for a file with one of these endings. A compressed one is a shard too, which its reader refuses
/// by name: to leave it out without a word would lose its samples.
fn is_shard(file: &Path, endings: &[&str]) -> bool {
    let Some(name) = file.file_name().and_then(|name| name.to_str()) else { return false };
    let has = |name: &str| {
        let ending = name.rsplit_once('.').map(|(_, ending)| ending);
        ending.is_some_and(|ending| endings.contains(&ending))
    };
    let packed = name.rsplit_once('.').filter(|(_, ending)| COMPRESSIONS.contains(ending));
    !is_hidden(name) && (has(name) || packed.is_some_and(|(name, _)| has(name)))
}

/// Whether a folder of a pool (`""` for its own) has a file with an ending.
pub(crate) fn has_file(pool: &Path, folder: &str, ending: &str) -> bool {
    std::fs::read_dir(pool.join(folder))
        .is_ok_and(|entries| entries.flatten().any(|e| is_shard(&e.path(), &[ending])))
}

/// Files that a program hides or leaves beside what it writes: never shards.
fn is_hidden(name: &str) -> bool {
    name.starts_with('.')
}

/// What lies among the shards of a folder and is none of them, for a person: hidden files, marks of jobs,
/// checksums and what is still being written. `first` is the first shard's file.
pub fn passed_over(pool: &Path, first: Option<&PathBuf>) -> Option<String> {
    let folder = first?.parent().filter(|_| pool.is_dir())?;
    let by_product = |name: &String| {
        let endings = [".crc", ".tmp", ".part", ".partial", ".crdownload", ".aria2", ".swp"];
        let ours = name == LOCK || name.starts_with(".curate-");
        !ours
            && (is_hidden(name) || name == "_SUCCESS" || endings.iter().any(|e| name.ends_with(e)))
    };
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let names = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(by_product).collect();
    names.sort_unstable();
    let some = names.first()?;
    let count = names.len();
    Some(match count {
        1 => format!("{}: passed over `{some}`, which is no shard", folder.display()),
        _ => format!(
            "{}: passed over {count} files that are no shards, `{some}` for one",
            folder.display()
        ),
    })
}

/// The names of a pool's shards: their files' without folder and ending. Shards that would so have one
/// name get those of as many folders as tell them apart, `s0_00000` and `s1_00000`; only the others'
/// names do not depend on which shards the pool has.
///
/// ```
/// use curate_io::shard_names;
///
/// let files = ["s0/00000.tar", "s1/00000.tar", "s1/00001.tar"].map(Into::into);
/// assert_eq!(shard_names(&files), ["s0_00000", "s1_00000", "00001"]);
/// ```
pub fn shard_names(files: &[PathBuf]) -> Vec<String> {
    let mut names: Vec<String> = files.iter().map(|file| stem(file)).collect();
    let deepest = files.iter().map(|file| file.components().count()).max().unwrap_or(0);
    for folders in 1..=deepest {
        let repeated = repeated(&names);
        if repeated.is_empty() {
            return names;
        }
        for at in repeated {
            names[at] = with_folders(&files[at], folders);
        }
    }
    // Files of one folder that differ in their ending, or one file twice.
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for name in &mut names {
        let (whole, mut number) = (name.clone(), 2);
        while !taken.insert(name.clone()) {
            *name = format!("{whole}_{number}");
            number += 1;
        }
    }
    names
}

/// The places of names that occur more than once.
fn repeated(names: &[String]) -> Vec<usize> {
    let mut places: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    names.iter().enumerate().for_each(|(at, name)| places.entry(name).or_default().push(at));
    places.into_values().filter(|places| places.len() > 1).flatten().collect()
}

fn with_folders(file: &Path, folders: usize) -> String {
    let above = file.parent().into_iter().flat_map(Path::components);
    let above = above.filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
        _ => None,
    });
    let mut parts: Vec<String> = above.collect();
    parts.drain(..parts.len().saturating_sub(folders));
    parts.push(stem(file));
    parts.join("_")
}

/// The name of a file without folder and ending.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_of_one_name_are_told_apart_by_their_folders() {
        let names =
            |files: &[&str]| shard_names(&files.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(names(&["/p/00.tar", "/p/01.tar"]), ["00", "01"]);
        assert_eq!(
            names(&["a/s0/0.tar", "b/s0/0.tar", "b/s1/0.tar"]),
            ["a_s0_0", "b_s0_0", "s1_0"]
        );
        assert_eq!(names(&["./0.tar", "s/0.tar"]), ["0", "s_0"]);
        // A name that another shard has already.
        assert_eq!(names(&["p/a/0.tar", "p/b/0.tar", "q/a_0.tar"]), ["p_a_0", "b_0", "q_a_0"]);
        assert_eq!(names(&["p/a.jsonl", "p/a.ndjson", "p/a_2.jsonl"]), ["p_a", "p_a_2", "a_2"]);
        assert_eq!(names(&["a.tar", "a.tar", "a_2.tar"]), ["a", "a_2", "a_2_2"]);
        assert!(names(&[]).is_empty());
    }
}
