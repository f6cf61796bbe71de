//! The files of a pool's shards: those of a folder, of a pattern, or one.

use std::{
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use crate::error::{IoError, Kind};

/// A pattern of more files is a slip of the pen.
const MOST_SHARDS: u64 = 1_000_000;

/// The files with one of these endings in a folder, by name; or the file itself; or the files of a
/// pattern, whether they exist or not.
pub(crate) fn shard_files(path: &Path, endings: &[&str]) -> Result<Vec<PathBuf>, IoError> {
    if let Some(pattern) = Pattern::of(path) {
        return pattern.files(path);
    }
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = std::fs::read_dir(path).map_err(|e| IoError::os(path, "read", e))?;
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|e| IoError::os(path, "read", e))?.path();
        if endings.iter().any(|ending| file.extension().is_some_and(|e| e == *ending)) {
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

/// Whether a folder of a pool (`""` for its own) has a file with an ending.
pub(crate) fn has_file(pool: &Path, folder: &str, ending: &str) -> bool {
    std::fs::read_dir(pool.join(folder)).is_ok_and(|entries| {
        entries.flatten().any(|e| e.path().extension().is_some_and(|x| x == ending))
    })
}

/// A path with one `{first..last}`.
pub(crate) struct Pattern<'a> {
    before: &'a str,
    numbers: RangeInclusive<u64>,
    width: usize,
    after: &'a str,
}

impl<'a> Pattern<'a> {
    /// `None` for a plain path.
    pub(crate) fn of(path: &'a Path) -> Option<Self> {
        let (before, rest) = path.to_str()?.split_once('{')?;
        let (range, after) = rest.split_once('}')?;
        let (first, last) = range.split_once("..")?;
        let numbers = first.parse().ok()?..=last.parse().ok()?;
        Some(Self { before, numbers, width: first.len(), after })
    }

    pub(crate) fn files(&self, path: &Path) -> Result<Vec<PathBuf>, IoError> {
        let Self { before, numbers, width, after } = self;
        let wrong = |problem: &str| {
            let remedy = "write the smaller number first, as in {00000..00099}";
            Err(IoError::new(Kind::NotFound, path, problem, remedy))
        };
        if numbers.is_empty() {
            return wrong("is a pattern of no file");
        }
        if numbers.end() - numbers.start() >= MOST_SHARDS {
            return wrong("is a pattern of more than a million files");
        }
        let name = |number| PathBuf::from(format!("{before}{number:0width$}{after}"));
        Ok(numbers.clone().map(name).collect())
    }
}

/// The name of a file without folder and ending.
pub(crate) fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_expand_with_their_zeros() {
        let path = Path::new("s/{008..011}.tar");
        let files = Pattern::of(path).unwrap().files(path).unwrap();
        let names: Vec<_> = files.iter().map(|f| f.to_str().unwrap()).collect();
        assert_eq!(names, ["s/008.tar", "s/009.tar", "s/010.tar", "s/011.tar"]);
        assert!(Pattern::of(Path::new("plain.tar")).is_none());
    }
}
