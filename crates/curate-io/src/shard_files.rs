//! The files of a pool's shards: those of a folder, of a pattern, or one.

use std::path::{Path, PathBuf};

use crate::{
    error::{IoError, Kind},
    pattern::{check_no_pipe, expand},
    shard::Shard,
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

/// What lies among the shards and is none of them, for a person: hidden files, marks of jobs, checksums
/// and what is still being written.
pub(crate) fn passed_over(pool: &Path, shards: &[Shard]) -> Option<String> {
    let first = shards.first()?.files.first()?;
    let folder = first.parent().filter(|_| pool.is_dir())?;
    let by_product = |name: &String| {
        let endings = [".crc", ".tmp", ".part", ".partial", ".crdownload", ".aria2", ".swp"];
        is_hidden(name) || name == "_SUCCESS" || endings.iter().any(|e| name.ends_with(e))
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

/// The name of a file without folder and ending.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
