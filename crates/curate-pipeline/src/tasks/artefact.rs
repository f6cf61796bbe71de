//! What a task leaves: a file, and a receipt that is written after it and makes it count.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use curate_io::{IoError, Kind, atomic, digest};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A task by the name of its step and its number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) folder: &'a Path,
    pub(super) step: &'a str,
    pub(super) index: usize,
}

/// What is known of an artefact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Receipt {
    /// The fingerprint of its plan.
    pub(super) plan: String,
    pub(super) step: String,
    pub(super) index: usize,
    /// Whether k-means is done with it, so that later passes have nothing to do.
    pub(super) last: bool,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// The process that works on a task, or did when it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct At {
    pub(super) host: String,
    pub(super) process: u32,
}

/// The mark of a task that is being worked on; it goes when this goes, and where the process was killed
/// it stays without a lock.
pub(super) struct Working {
    path: PathBuf,
    _file: Option<File>,
}

impl Drop for Working {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl<'a> Place<'a> {
    /// The folder of a step's artefacts.
    pub(super) fn parts(self) -> PathBuf {
        self.folder.join("parts").join(self.step)
    }

    fn named(self, ending: &str) -> PathBuf {
        self.parts().join(format!("{:05}.{ending}", self.index))
    }

    /// The artefact.
    pub(super) fn part(self) -> PathBuf {
        self.named("part")
    }

    pub(super) fn receipt_path(self) -> PathBuf {
        self.named("json")
    }

    pub(super) fn failure_path(self) -> PathBuf {
        self.named("failed")
    }

    pub(super) fn working_path(self) -> PathBuf {
        self.named("running")
    }

    /// The receipt, if there is one; an error where it cannot be read or is another task's or plan's.
    pub(super) fn receipt(self, plan: &str) -> Result<Option<Receipt>, IoError> {
        let path = self.receipt_path();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(IoError::os(&path, "read", e)),
        };
        let receipt: Receipt = serde_json::from_slice(&text)
            .map_err(|e| damaged(&path, "is not the receipt of a task").caused_by(e))?;
        if receipt.plan != plan {
            return Err(damaged(&path, "is of another plan"));
        }
        if (&*receipt.step, receipt.index) != (self.step, self.index) {
            return Err(damaged(&path, "is of another task"));
        }
        let bytes = fs::metadata(self.part()).map_or(0, |m| m.len());
        match (self.part().exists(), bytes == receipt.bytes) {
            (false, _) => Err(damaged(&self.part(), "is gone")),
            (_, false) => Err(damaged(&self.part(), "has another length than was written")),
            _ => Ok(Some(receipt)),
        }
    }

    /// [`Self::receipt`] of an artefact that has the digest it was written with.
    pub(super) fn checked(self, plan: &str) -> Result<Option<Receipt>, IoError> {
        let receipt = self.receipt(plan)?;
        if let Some(receipt) = &receipt
            && digest::of_file(&self.part())? != receipt.sha256
        {
            return Err(damaged(&self.part(), "does not have the digest that was written"));
        }
        Ok(receipt)
    }

    /// Writes the receipt of an artefact that is there, and removes what a failed try left.
    pub(super) fn count(self, plan: &str, last: bool) -> Result<(), IoError> {
        let part = self.part();
        let bytes = fs::metadata(&part).map_err(|e| IoError::os(&part, "read", e))?.len();
        let receipt = Receipt {
            plan: plan.to_owned(),
            step: self.step.to_owned(),
            index: self.index,
            last,
            bytes,
            sha256: digest::of_file(&part)?,
        };
        let text = serde_json::to_string(&receipt).expect("a receipt is JSON") + "\n";
        // Unflushed: what a crash of the machine loses is seen by its digest, and made again.
        atomic::write_unflushed(&self.receipt_path(), text.as_bytes())?;
        let _ = fs::remove_file(self.failure_path());
        Ok(())
    }

    /// Marks the task as being worked on.
    pub(super) fn work(self) -> Result<Working, IoError> {
        let path = self.working_path();
        fs::create_dir_all(self.parts()).map_err(|e| IoError::os(self.parts(), "created", e))?;
        let at = At { host: host(), process: std::process::id() };
        let text = serde_json::to_string(&at).expect("a mark is JSON");
        fs::write(&path, text).map_err(|e| IoError::os(&path, "written", e))?;
        let file = File::open(&path).ok().filter(|file| file.try_lock().is_ok());
        Ok(Working { path, _file: file })
    }

    /// The process that works on the task, and whether it still lives as far as this machine can tell.
    pub(super) fn worked_on(self) -> Option<(At, bool)> {
        let path = self.working_path();
        let at: At = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        let free = File::open(&path).is_ok_and(|file| file.try_lock_shared().is_ok());
        // Of a process of another machine the lock may not say.
        let lives = !free || at.host != host();
        Some((at, lives))
    }

    /// Notes why the task failed.
    pub(super) fn fail(self, why: &str) {
        let _ = atomic::write(&self.failure_path(), why.as_bytes());
    }

    pub(super) fn failure(self) -> Option<String> {
        fs::read_to_string(self.failure_path()).ok()
    }
}

/// Writes a value as an artefact.
pub(super) fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), IoError> {
    let bytes = postcard::to_stdvec(value)
        .map_err(|e| IoError::malformed(path, "cannot be written").caused_by(e))?;
    atomic::write_unflushed(path, &bytes)
}

/// Reads a value that [`write`] wrote.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<T, IoError> {
    let bytes = fs::read(path).map_err(|e| IoError::os(path, "read", e))?;
    postcard::from_bytes(&bytes)
        .map_err(|e| damaged(path, "is not an artefact of its step").caused_by(e))
}

pub(super) fn damaged(path: &Path, problem: &str) -> IoError {
    IoError::new(Kind::Disagree, path, problem, "carry its task out again")
}

fn host() -> String {
    let named = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = named.or_else(|| std::env::var("HOSTNAME").ok());
    named.map_or_else(|| "here".to_owned(), |name| name.trim().to_owned())
}
