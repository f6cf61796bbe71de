//! The output folder: empty, or with shards that an equal call wrote.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::options::{Part, Shuffle};
use crate::{
    atomic,
    error::{IoError, Kind},
    lock::LOCK,
    manifest::{self, Contents, ShardEntry, Work},
    shard::IdsFrom,
    shard_files::shard_names,
    stamp::{Input, Stamp},
};

/// A line for each shard that is there, until the manifest has them all. It is not flushed: a line that a
/// crash loses costs its shard.
const LOG: &str = ".curate-reshard.log";

/// How the logs of tasks begin and end, of which each writes its own.
const LOG_OF_TASK: (&str, &str) = (".curate-reshard-", ".log");

/// The folder of what tasks found in the input, until the folder is complete.
pub(super) const SCANS: &str = ".curate-scans";

/// The last file that a call writes.
pub(super) const META: &str = "meta.json";

/// What makes two calls the same.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub(super) selection: String,
    pub(super) samples_per_shard: usize,
    pub(super) shuffle: Option<Shuffle>,
    pub(super) ids: Option<IdsFrom>,
    pub(super) inputs: Vec<PlannedInput>,
}

/// A shard that samples come from.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct PlannedInput {
    pub(super) shard: String,
    /// A digest of where the samples lie that are taken.
    pub(super) picked: String,
    #[serde(flatten)]
    pub(super) input: Input,
}

/// The manifest of a folder of shards.
#[derive(Serialize, Deserialize)]
struct Manifest {
    work: Work,
    #[serde(flatten)]
    plan: Plan,
    #[serde(flatten)]
    contents: Contents,
}

/// What an earlier call left in the folder.
#[derive(Default)]
pub(super) struct Earlier {
    /// The shards that it wrote.
    pub(super) written: BTreeMap<usize, Stamp>,
    /// The shards in the input that were touched since, by place.
    pub(super) touched: Vec<bool>,
}

/// Refuses a folder that cannot be written to, before anything is read.
pub(super) fn check_folder(out: &Path, tars: &[PathBuf], overwrite: bool) -> Result<(), IoError> {
    fs::create_dir_all(out).map_err(|e| IoError::os(out, "created", e))?;
    let place = |path: &Path| path.canonicalize().ok();
    let is_out = |input: &Path| place(input).is_some() && place(input) == place(out);
    if tars.iter().filter_map(|tar| tar.parent()).any(is_out) {
        let problem = "is the folder that the samples are read from";
        return Err(IoError::new(Kind::Disagree, out, problem, "name another folder"));
    }
    let by_product = |name: &std::ffi::OsStr| {
        let name = name.to_string_lossy();
        name == LOCK || name == SCANS || atomic::is_part(&name)
    };
    let is_empty = entries(out)?.iter().all(|entry| by_product(&entry.file_name()));
    if overwrite || is_empty || out.join(Work::Resharding.file()).exists() {
        return Ok(());
    }
    Err(IoError::new(Kind::Occupied, out, "is not empty", "name another folder"))
}

fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, IoError> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    entries.map_err(|e| IoError::os(folder, "read", e))
}

/// What an equal call or its tasks left. Shards of another one are an error, or removed.
pub(super) fn earlier(out: &Path, plan: &Plan, overwrite: bool) -> Result<Earlier, IoError> {
    let manifest: Option<Manifest> = manifest::read(out, Work::Resharding)?;
    if let Some(manifest) = manifest.filter(|manifest| manifest.plan.equals(plan)) {
        let inputs = manifest.plan.inputs.iter().zip(&plan.inputs);
        let touched = inputs.map(|(then, now)| then.input != now.input).collect();
        let mut written = logged(out)?;
        for (k, shard) in manifest.contents.shards.into_iter().enumerate() {
            written.extend(shard.files.into_values().next().map(|stamp| (k, stamp)));
        }
        return Ok(Earlier { written, touched });
    }
    if !overwrite && out.join(Work::Resharding.file()).exists() {
        let problem = "holds shards of another selection, pool or settings";
        return Err(IoError::new(Kind::Occupied, out, problem, "name another folder"));
    }
    if overwrite {
        for name in entries(out)?.iter().map(fs::DirEntry::file_name).filter(|n| is_ours(n)) {
            remove(&out.join(name))?;
        }
    }
    Ok(Earlier { touched: vec![true; plan.inputs.len()], ..Earlier::default() })
}

/// The shards of a folder that a call with this plan, but for its inputs, has completed of the shards `tars`, for
/// a task that comes late: it need not read again what the others have.
pub(super) fn completed(
    out: &Path,
    plan: &Plan,
    tars: &[PathBuf],
    may_lack: bool,
) -> Result<Option<Vec<ShardEntry>>, IoError> {
    let manifest: Option<Manifest> = manifest::read(out, Work::Resharding)?;
    let Some(manifest) = manifest.filter(|manifest| manifest.contents.complete) else {
        return Ok(None);
    };
    let names = shard_names(tars);
    let tars: BTreeMap<&String, &PathBuf> = names.iter().zip(tars).collect();
    let inputs = &manifest.plan.inputs;
    let untouched = inputs.iter().all(|planned| {
        let tar = tars.get(&planned.shard);
        tar.is_some_and(|tar| planned.input.check_untouched(tar).is_ok())
    });
    let all = inputs.len() == tars.len() || may_lack;
    let same = manifest.plan.bare() == *plan && untouched && all;
    Ok(same.then_some(manifest.contents.shards))
}

impl Plan {
    /// The same without its inputs.
    fn bare(&self) -> Self {
        Self { inputs: vec![], ..self.clone() }
    }

    /// True for the same samples at the same places of the same shards.
    fn equals(&self, other: &Self) -> bool {
        let places = |plan: &Self| {
            let inputs = plan.inputs.iter();
            inputs.map(|i| (i.shard.clone(), i.picked.clone())).collect::<Vec<_>>()
        };
        places(self) == places(other) && self.bare() == other.bare()
    }
}

/// Files that a resharder writes, and no others.
fn is_ours(name: &std::ffi::OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let number = name.strip_suffix(".tar").or_else(|| name.strip_suffix("_stats.json"));
    let numbered = |n: &str| n.len() == 8 && n.bytes().all(|b| b.is_ascii_digit());
    number.is_some_and(numbered)
        || ["sizes.json", META, "sample_ids.npy", Work::Resharding.file()].contains(&name)
        || is_log(name)
}

fn is_log(name: &str) -> bool {
    let (start, end) = LOG_OF_TASK;
    name == LOG || (name.starts_with(start) && name.ends_with(end))
}

fn remove(path: &Path) -> Result<(), IoError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(IoError::os(path, "removed", e)),
        _ => Ok(()),
    }
}

/// A line of the log.
#[derive(Serialize, Deserialize)]
struct Logged {
    shard: usize,
    #[serde(flatten)]
    stamp: Stamp,
}

fn logged(out: &Path) -> Result<BTreeMap<usize, Stamp>, IoError> {
    let mut found = BTreeMap::new();
    for log in logs(out)? {
        let text = fs::read_to_string(log).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Logged>(line).ok());
        found.extend(lines.map(|line| (line.shard, line.stamp)));
    }
    Ok(found)
}

fn logs(out: &Path) -> Result<Vec<PathBuf>, IoError> {
    let names = entries(out)?.into_iter().map(|entry| entry.file_name());
    let logs = names.filter(|name| name.to_str().is_some_and(is_log));
    Ok(logs.map(|name| out.join(name)).collect())
}

/// The folder while shards are written to it.
pub(super) struct Writing<'a> {
    out: &'a Path,
    path: PathBuf,
    log: File,
}

impl<'a> Writing<'a> {
    /// Says what the folder is to hold: `shards` with the files of those that are there.
    pub(super) fn begin(
        out: &'a Path,
        plan: &Plan,
        shards: Vec<ShardEntry>,
    ) -> Result<Self, IoError> {
        // In this order: a line of the log is only true with the manifest that it was written under.
        remove(&out.join(META))?;
        logs(out)?.iter().try_for_each(|log| remove(log))?;
        save(out, plan, Contents { complete: false, shards })?;
        Self::log(out, LOG)
    }

    /// The same for a task: what is there may be of another one that writes now, and stays. Whoever comes
    /// first says what the folder is to hold, all of them the same.
    pub(super) fn join(
        out: &'a Path,
        plan: &Plan,
        part: Part,
        shards: Vec<ShardEntry>,
    ) -> Result<Self, IoError> {
        if !out.join(Work::Resharding.file()).exists() {
            save(out, plan, Contents { complete: false, shards })?;
        }
        let (start, end) = LOG_OF_TASK;
        Self::log(out, &format!("{start}{:05}{end}", part.index))
    }

    fn log(out: &'a Path, name: &str) -> Result<Self, IoError> {
        let path = out.join(name);
        let log = File::options().create(true).append(true).open(&path);
        let log = log.map_err(|e| IoError::os(&path, "written", e))?;
        Ok(Self { out, path, log })
    }

    /// Notes that a shard is there.
    pub(super) fn note(&mut self, shard: usize, stamp: &Stamp) -> Result<(), IoError> {
        let mut line = serde_json::to_vec(&Logged { shard, stamp: stamp.clone() })
            .expect("numbers and text are JSON");
        line.push(b'\n');
        self.log.write_all(&line).map_err(|e| IoError::os(&self.path, "written", e))
    }

    /// Says that the folder holds all its shards.
    pub(super) fn end(self, plan: &Plan, shards: Vec<ShardEntry>) -> Result<(), IoError> {
        save(self.out, plan, Contents { complete: true, shards })?;
        logs(self.out)?.iter().try_for_each(|log| remove(log))?;
        let scans = self.out.join(SCANS);
        match fs::remove_dir_all(&scans) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(IoError::os(&scans, "removed", e))
            }
            _ => Ok(()),
        }
    }
}

fn save(out: &Path, plan: &Plan, contents: Contents) -> Result<(), IoError> {
    let manifest = Manifest { work: Work::Resharding, plan: plan.clone(), contents };
    manifest::write(out, Work::Resharding, &manifest)
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
