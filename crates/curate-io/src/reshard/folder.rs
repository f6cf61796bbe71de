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
    atomic, digest,
    error::{IoError, Kind},
    lock::LOCK,
    manifest::{self, Contents, ShardEntry, Work},
    shard::IdsFrom,
    shard_files::shard_names,
    stamp::{Check, Input, Stamp},
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
    /// Input shards that were left out, once the folder is complete.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    left_out: Vec<String>,
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
        let mut written = logged(out, &[manifest.plan.id(), plan.id()])?;
        for (k, shard) in manifest.contents.shards.into_iter().enumerate() {
            written.extend(shard.files.into_values().next().map(|stamp| (k, stamp)));
        }
        return Ok(Earlier { written, touched });
    }
    if !overwrite && out.join(Work::Resharding.file()).exists() {
        return Err(of_another(out));
    }
    if overwrite {
        for name in entries(out)?.iter().map(fs::DirEntry::file_name).filter(|n| is_ours(n)) {
            remove(&out.join(name))?;
        }
    }
    Ok(Earlier { touched: vec![true; plan.inputs.len()], ..Earlier::default() })
}

fn of_another(out: &Path) -> IoError {
    let problem = "holds shards of another selection, pool or settings";
    IoError::new(Kind::Occupied, out, problem, "name another folder")
}

/// The shards of a folder that a call with this plan, but for its inputs, has completed of the shards `tars`, for
/// a task that comes late: it need not read again what the others have.
///
/// # Errors
/// When the folder is complete, but not by such a call, or not any more: tasks write to none that is.
pub(super) fn completed(
    out: &Path,
    plan: &Plan,
    tars: &[PathBuf],
    (part, check): (Part, Check),
) -> Result<Option<Vec<ShardEntry>>, IoError> {
    let manifest: Option<Manifest> = manifest::read(out, Work::Resharding)?;
    let Some(manifest) = manifest.filter(|manifest| manifest.contents.complete) else {
        return Ok(None);
    };
    let shards = &manifest.contents.shards;
    let own = shards.iter().enumerate().filter(|(k, _)| part.has(*k));
    let mut files = own.flat_map(|(_, shard)| &shard.files);
    let holds = |(name, stamp): (&String, &Stamp)| {
        stamp.holds(&out.join(name), Check::Sample).is_ok_and(|holds| holds)
    };
    if check == Check::Sample && manifest.is_of(plan, tars) && files.all(holds) {
        return Ok(Some(manifest.contents.shards));
    }
    let problem = "is complete, and may not be what this task would leave";
    let remedy = "let one call without tasks look at all of it, or name another folder";
    Err(IoError::new(Kind::Occupied, out, problem, remedy))
}

impl Manifest {
    /// Whether it is of this plan, but for its inputs, and of these shards as they are.
    fn is_of(&self, plan: &Plan, tars: &[PathBuf]) -> bool {
        let names = shard_names(tars);
        let mut tars: BTreeMap<&String, &PathBuf> = names.iter().zip(tars).collect();
        let untouched = self.plan.inputs.iter().all(|planned| {
            let tar = tars.remove(&planned.shard);
            tar.is_some_and(|tar| planned.input.check_untouched(tar).is_ok())
        });
        let mut left_out: Vec<&String> = self.left_out.iter().collect();
        left_out.sort_unstable();
        self.plan.bare() == *plan && untouched && tars.into_keys().eq(left_out)
    }
}

impl Plan {
    /// The same without its inputs.
    fn bare(&self) -> Self {
        Self { inputs: vec![], ..self.clone() }
    }

    /// A digest of what the shards are made from and by, whatever the times of the files.
    fn id(&self) -> String {
        let inputs = self.inputs.iter();
        let inputs =
            inputs.map(|i| (&i.shard, &i.picked, i.input.stamp.bytes, &i.input.stamp.sample));
        let inputs: Vec<_> = inputs.collect();
        let told = serde_json::json!({ "plan": self.bare(), "inputs": inputs });
        digest::of_bytes(told.to_string().as_bytes())
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
    /// The plan that it was written by.
    plan: String,
    #[serde(flatten)]
    stamp: Stamp,
}

/// The shards that calls with one of these plans noted.
fn logged(out: &Path, plans: &[String]) -> Result<BTreeMap<usize, Stamp>, IoError> {
    let mut found = BTreeMap::new();
    for log in logs(out)? {
        let bytes = fs::read(&log).map_err(|e| IoError::os(&log, "read", e))?;
        // A line that a killed process did not end is none.
        let lines = bytes.split(|&byte| byte == b'\n');
        let lines = lines.filter_map(|line| serde_json::from_slice::<Logged>(line).ok());
        let lines = lines.filter(|line| plans.contains(&line.plan));
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
    /// The plan's digest.
    plan: String,
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
        // In this order: what a log names, the manifest knows.
        remove(&out.join(META))?;
        logs(out)?.iter().try_for_each(|log| remove(log))?;
        save(out, plan, vec![], Contents { complete: false, shards })?;
        Self::log(out, plan, LOG)
    }

    /// The same for a task: what is there may be of another one that writes now, and stays. Whoever comes
    /// first says what the folder is to hold.
    ///
    /// # Errors
    /// When that is something else; when it cannot be written.
    pub(super) fn join(
        out: &'a Path,
        plan: &Plan,
        part: Part,
        shards: Vec<ShardEntry>,
    ) -> Result<Self, IoError> {
        let (plan_of_it, contents) = (plan.clone(), Contents { complete: false, shards });
        let (work, left_out) = (Work::Resharding, vec![]);
        let ours = Manifest { work, plan: plan_of_it, left_out, contents };
        if !manifest::write_new(out, work, &ours)? {
            // Another call may have come first since the folder was looked at.
            let there: Option<Manifest> = manifest::read(out, work)?;
            if !there.is_some_and(|there| there.plan.equals(plan)) {
                return Err(of_another(out));
            }
        }
        let (start, end) = LOG_OF_TASK;
        Self::log(out, plan, &format!("{start}{:05}{end}", part.index))
    }

    fn log(out: &'a Path, plan: &Plan, name: &str) -> Result<Self, IoError> {
        let path = out.join(name);
        let failed = |e| IoError::os(&path, "written", e);
        let mut log = File::options().create(true).append(true).open(&path).map_err(failed)?;
        // A process that was killed may have left half a line.
        log.write_all(b"\n").map_err(failed)?;
        Ok(Self { out, plan: plan.id(), path, log })
    }

    /// Notes that a shard is there.
    pub(super) fn note(&mut self, shard: usize, stamp: &Stamp) -> Result<(), IoError> {
        let logged = Logged { shard, plan: self.plan.clone(), stamp: stamp.clone() };
        let mut line = serde_json::to_vec(&logged).expect("numbers and text are JSON");
        line.push(b'\n');
        self.log.write_all(&line).map_err(|e| IoError::os(&self.path, "written", e))
    }

    /// Says that the folder holds all its shards.
    pub(super) fn end(
        self,
        plan: &Plan,
        left_out: Vec<String>,
        shards: Vec<ShardEntry>,
    ) -> Result<(), IoError> {
        save(self.out, plan, left_out, Contents { complete: true, shards })?;
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

fn save(out: &Path, plan: &Plan, left_out: Vec<String>, contents: Contents) -> Result<(), IoError> {
    let manifest = Manifest { work: Work::Resharding, plan: plan.clone(), left_out, contents };
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

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(samples_per_shard: usize) -> Plan {
        let selection = "of a test".to_owned();
        Plan { selection, samples_per_shard, shuffle: None, ids: None, inputs: vec![] }
    }

    #[test]
    fn the_first_task_says_what_the_folder_is_and_others_of_another_plan_are_refused() {
        let out = tempfile::tempdir().unwrap();
        let out = out.path();
        let part = |index| Part { index, tasks: 2 };
        let stamp = Stamp { bytes: 1, sample: String::new(), sha256: None };
        Writing::join(out, &plan(2), part(0), vec![]).unwrap().note(4, &stamp).unwrap();
        let error = Writing::join(out, &plan(3), part(1), vec![]).err().unwrap();
        assert_eq!(error.kind, Kind::Occupied, "{error}");
        // Half a line of a killed process.
        let log = logs(out).unwrap().remove(0);
        let mut text = fs::read(&log).unwrap();
        text.truncate(text.len() - 9);
        fs::write(&log, text).unwrap();
        Writing::join(out, &plan(2), part(0), vec![]).unwrap().note(6, &stamp).unwrap();
        let noted = |plan: Plan| logged(out, &[plan.id()]).unwrap().into_keys().collect::<Vec<_>>();
        assert_eq!((noted(plan(2)), noted(plan(3))), (vec![6], vec![]));
    }
}
