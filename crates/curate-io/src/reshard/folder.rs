//! The output folder: empty, or with shards that an equal call wrote.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::options::Shuffle;
use crate::{
    atomic,
    error::{IoError, Kind},
};

/// The record by which a later call knows what the shards in a folder are.
const PLAN_FILE: &str = ".curate-reshard.json";

/// What makes two calls the same.
#[derive(PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) selection: String,
    pub(super) inputs: String,
    pub(super) samples_per_shard: usize,
    pub(super) shuffle: Option<Shuffle>,
}

/// Refuses a folder that cannot be written to, before anything is read.
pub(super) fn check_folder(out: &Path, tars: &[PathBuf], overwrite: bool) -> Result<(), IoError> {
    fs::create_dir_all(out).map_err(|e| IoError::os(out, "created", e))?;
    let place = |path: &Path| path.canonicalize().ok();
    let input = tars.first().and_then(|tar| tar.parent());
    if input.is_some_and(|input| place(input).is_some() && place(input) == place(out)) {
        let problem = "is the folder that the samples are read from";
        return Err(IoError::new(Kind::Disagree, out, problem, "name another folder"));
    }
    atomic::remove_leftovers(out)?;
    if overwrite || out.join(PLAN_FILE).exists() || entries(out)?.is_empty() {
        return Ok(());
    }
    Err(IoError::new(Kind::Occupied, out, "is not empty", "name another folder"))
}

fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, IoError> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    entries.map_err(|e| IoError::os(folder, "read", e))
}

/// Makes the folder ready: empty of shards but for those that an equal call wrote.
pub(super) fn prepare(out: &Path, plan: &Plan, overwrite: bool) -> Result<(), IoError> {
    let record = out.join(PLAN_FILE);
    let earlier =
        fs::read(&record).ok().and_then(|text| serde_json::from_slice::<Plan>(&text).ok());
    if earlier.as_ref() == Some(plan) {
        return Ok(());
    }
    if !overwrite && record.exists() {
        let problem = "holds shards of another selection, pool or settings";
        return Err(IoError::new(Kind::Occupied, out, problem, "name another folder"));
    }
    for name in entries(out)?.iter().map(fs::DirEntry::file_name).filter(|name| is_ours(name)) {
        let path = out.join(name);
        fs::remove_file(&path).map_err(|e| IoError::os(&path, "removed", e))?;
    }
    write_json(&record, plan)
}

/// Files that a resharder writes, and no others.
fn is_ours(name: &std::ffi::OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let number = name.strip_suffix(".tar").or_else(|| name.strip_suffix("_stats.json"));
    let numbered = |n: &str| n.len() == 8 && n.bytes().all(|b| b.is_ascii_digit());
    number.is_some_and(numbered)
        || ["sizes.json", "meta.json", "sample_ids.npy", PLAN_FILE].contains(&name)
}

/// As Python's `json.dump` lays it out, which scripts that compare files rely on.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), IoError> {
    let mut text = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(&mut text, PythonLayout);
    value.serialize(&mut writer).expect("numbers and text are JSON");
    atomic::write(path, &text)
}

struct PythonLayout;

impl serde_json::ser::Formatter for PythonLayout {
    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> std::io::Result<()> {
        out.write_all(b": ")
    }
}
