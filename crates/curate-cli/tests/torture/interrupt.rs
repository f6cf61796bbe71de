//! A command that is interrupted: killed, out of space, or beside another of its kind. Afterwards no file
//! is half written, and the same command ends with the bytes of one that nothing disturbed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    Counts, Draw, count,
    faults::Faults,
    world::{Job, World, curate},
};

/// Files that say when they were written or how long it took.
const TELL_TIME: [&str; 6] = [
    "manifest.json",
    "report.html",
    "stage.json",
    "pool.json",
    "filter_card.json",
    "filter_card.md",
];

/// How the files begin by which a command knows what it has done: they grow with it, and no other reader
/// looks at them.
const BOOKS: &str = ".curate-";

/// Address space, in KiB: from what the program hardly starts in to what all commands here end in.
const LEAST_SPACE: usize = 40_000;
const MORE_SPACE: usize = 200_000;

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// A command, and what it leaves where nothing disturbs it.
pub(crate) struct Clean<'a> {
    job: Job,
    world: &'a World,
    files: Files,
    seconds: f64,
}

impl<'a> Clean<'a> {
    pub(crate) fn of(job: &Job, world: &'a World) -> Self {
        let mut clean = Self { job: job.clone(), world, files: Files::new(), seconds: 0.0 };
        let out = clean.start();
        let started = Instant::now();
        clean.finish(out.path(), "undisturbed");
        clean.seconds = started.elapsed().as_secs_f64();
        clean.files = files(out.path());
        let again = clean.start();
        clean.finish(again.path(), "undisturbed, again");
        clean.compare(again.path(), "undisturbed, again");
        clean
    }

    /// Kills it at up to so many of the calls that change files, evenly spread.
    pub(crate) fn killed_at_calls(&self, faults: &Faults, places: usize, counts: &mut Counts) {
        for call in self.places(faults, places) {
            let out = self.start();
            let mut command = self.command(out.path());
            faults.load(&mut command, &format!("kill:{call}"));
            let _killed = command.output().unwrap();
            self.go_on(out.path(), &format!("killed at call {call}"));
            count(counts, "killed at a call", 1);
        }
    }

    /// Lets it have no more space from such a call on.
    pub(crate) fn on_a_full_disk(&self, faults: &Faults, places: usize, counts: &mut Counts) {
        for call in self.places(faults, places) {
            let out = self.start();
            let mut command = self.command(out.path());
            faults.load(&mut command, &format!("full:{call}"));
            let what = format!("no space from call {call} on");
            let output = command.output().unwrap();
            if !output.status.success() {
                self.refused(&output, &what, "the disk is full");
            }
            self.go_on(out.path(), &what);
            count(counts, "out of space", 1);
        }
    }

    /// Kills it at some time.
    pub(crate) fn killed_at_a_time(&self, draw: &mut Draw, counts: &mut Counts) {
        let out = self.start();
        let mut child = self.command(out.path()).spawn().unwrap();
        let after = self.seconds * draw.below(1000) as f64 / 1000.0;
        thread::sleep(Duration::from_secs_f64(after));
        let _ended = child.kill();
        child.wait().unwrap();
        self.go_on(out.path(), &format!("killed after {after:.3} s"));
        count(counts, "killed at a time", 1);
    }

    /// Lets it have no more than some memory, of which it may die at any allocation.
    pub(crate) fn out_of_memory(&self, draw: &mut Draw, counts: &mut Counts) {
        let out = self.start();
        let kib = LEAST_SPACE + draw.below(MORE_SPACE);
        let wanted = self.command(out.path());
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("ulimit -v {kib}; exec \"$@\"")).arg("sh");
        command.current_dir(self.world.path()).arg(wanted.get_program()).args(wanted.get_args());
        let _ended = command.output().unwrap();
        self.go_on(out.path(), &format!("with {kib} KiB of address space"));
        count(counts, "out of memory", 1);
    }

    /// Starts it twice at once: each ends well or is refused by name.
    pub(crate) fn beside_itself(&self, counts: &mut Counts) {
        let out = self.start();
        let start = || self.command(out.path()).stderr(std::process::Stdio::piped()).spawn();
        let both = [start().unwrap(), start().unwrap()];
        let both = both.map(|child| child.wait_with_output().unwrap());
        for output in both.iter().filter(|output| !output.status.success()) {
            self.refused(output, "beside itself", "another");
        }
        assert!(both.iter().any(|o| o.status.success()), "{}: both were refused", self.job.name);
        self.go_on(out.path(), "beside itself");
        count(counts, "two at once", 1);
    }

    /// The calls to disturb, from 1.
    fn places(&self, faults: &Faults, places: usize) -> Vec<usize> {
        let out = self.start();
        let calls = faults.count(self.command(out.path()));
        let places = places.min(calls);
        (0..places).map(|i| 1 + i * (calls - 1) / (places - 1).max(1)).collect()
    }

    /// A folder to write to, in which what the command needs is there.
    fn start(&self) -> TempDir {
        let out = tempfile::tempdir().unwrap();
        if self.job.name == "tasks resume" {
            let args = ["tasks", "plan", "recipe.toml", "--tasks", "2", "--out"];
            let args = [&args[..], &[out.path().to_str().unwrap()]].concat();
            let output = curate(self.world.path(), &args).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        if self.job.name == "run again" {
            // An earlier run of other settings, which is replaced.
            let text = fs::read_to_string(self.world.path().join("recipe.toml")).unwrap();
            let other = self.world.path().join("other.toml");
            fs::write(&other, text.replace("epsilon = 0.05", "epsilon = 0.2")).unwrap();
            let args = ["run", "other.toml", "--out", out.path().to_str().unwrap()];
            let output = curate(self.world.path(), &args).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        out
    }

    fn command(&self, out: &Path) -> Command {
        let out = out.to_str().unwrap();
        let args: Vec<String> = self.job.args.iter().map(|a| a.replace("OUT", out)).collect();
        curate(self.world.path(), &args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Nothing is half written; the same command then ends as if nothing had been.
    fn go_on(&self, out: &Path, what: &str) {
        self.nothing_half_written(out, what);
        self.finish(out, what);
        self.compare(out, what);
        let left = files(out).into_keys().find(|file| is_part(file));
        assert_eq!(left, None, "{}, {what}: left over", self.job.name);
    }

    fn finish(&self, out: &Path, what: &str) {
        let output = self.command(out).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}, {what}: {said}", self.job.name);
    }

    fn refused(&self, output: &Output, what: &str, words: &str) {
        let said = String::from_utf8_lossy(&output.stderr);
        // A task that another process keeps from its folder may try again later.
        let well = matches!(output.status.code(), Some(1 | 75)) && said.starts_with("error: ");
        assert!(well && said.contains(words), "{}, {what}: {said}", self.job.name);
    }

    /// The same files with the same bytes, but for those that tell time.
    fn compare(&self, out: &Path, what: &str) {
        let found = files(out);
        let names = |files: &Files| -> Vec<PathBuf> {
            files.keys().filter(|file| !is_part(file)).cloned().collect()
        };
        assert_eq!(names(&found), names(&self.files), "{}, {what}", self.job.name);
        for (file, bytes) in &self.files {
            let same = tells_time(file) || found[file] == *bytes;
            assert!(same, "{}, {what}: {} differs", self.job.name, file.display());
        }
    }

    /// Every file that counts is whole: one that is left in the end has its bytes already, and one that
    /// tells time has an end.
    fn nothing_half_written(&self, out: &Path, what: &str) {
        for (file, bytes) in files(out) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let whole = match file.extension().and_then(|ending| ending.to_str()) {
                _ if name.starts_with(BOOKS) => true,
                // Training goes on from it, to the bytes of one that nothing disturbed.
                _ if name.starts_with("checkpoint") => true,
                Some("json") if tells_time(&file) => {
                    serde_json::from_slice::<serde_json::Value>(&bytes).is_ok()
                }
                Some("md") if tells_time(&file) => bytes.ends_with(b"\n"),
                Some("html") => bytes.ends_with(b"</html>\n"),
                // Notes of who works on a task and of one that failed, and all of a run's plan, go in the end.
                Some("running" | "failed") => true,
                _ if file.starts_with(".curate-tasks") => true,
                // What an earlier run of other settings left is replaced at its turn.
                _ if self.job.name == "run again" => true,
                _ => self.files.get(&file) == Some(&bytes),
            };
            assert!(whole, "{}, {what}: {name} is half written", self.job.name);
        }
    }
}

fn tells_time(file: &Path) -> bool {
    TELL_TIME.iter().any(|name| file.ends_with(name))
}

/// A file that was being written, under a name that no reader looks for.
fn is_part(file: &Path) -> bool {
    let name = file.file_name().unwrap().to_string_lossy();
    name.starts_with(".curate-") && name.ends_with(".part")
}

/// All files in a folder with their bytes, but for locks.
fn files(folder: &Path) -> Files {
    let mut found = Files::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(here) = folders.pop() {
        for entry in fs::read_dir(here).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.file_name().unwrap().to_string_lossy().ends_with("lock") {
                let mut bytes = fs::read(&path).unwrap();
                if path.extension().is_some_and(|ending| ending == "json") {
                    // Where it was written to is no difference.
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    bytes = text.replace(folder.to_str().unwrap(), "OUT").into_bytes();
                }
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), bytes);
            }
        }
    }
    found
}
