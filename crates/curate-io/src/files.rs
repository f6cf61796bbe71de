//! Files opened for reading: regular ones, or links to such.
//!
//! A pipe, a socket or a device under a name that looks like a shard would keep its reader waiting for
//! ever, or feed it without end. Streams that the caller was handed open, under `/dev/stdin`, `/dev/fd`
//! and `/proc/self/fd`, are read where nothing has to be looked up in them.

use std::{
    fs::{self, File, FileType},
    io::Read,
    path::Path,
};

use crate::error::{IoError, Kind};

/// Opens a file for reading.
///
/// # Errors
/// When it does not exist, cannot be read, or is a folder, a pipe, a socket or a device.
pub fn open(path: &Path) -> Result<File, IoError> {
    let failed = |e| IoError::os(path, "read", e);
    // Before it is opened: to open a pipe waits for a writer.
    check(path, fs::metadata(path).map_err(failed)?.file_type())?;
    let file = File::open(path).map_err(failed)?;
    // And after, should another have taken its place.
    check(path, file.metadata().map_err(failed)?.file_type())?;
    Ok(file)
}

/// The content of a file.
///
/// # Errors
/// As [`open`].
pub fn read(path: &Path) -> Result<Vec<u8>, IoError> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes).map_err(|e| IoError::os(path, "read", e))?;
    Ok(bytes)
}

/// The content of a file that is text.
///
/// # Errors
/// As [`open`], and when it is not UTF-8.
pub fn read_text(path: &Path) -> Result<String, IoError> {
    let mut text = String::new();
    open(path)?.read_to_string(&mut text).map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidData => IoError::malformed(path, "is not text"),
        _ => IoError::os(path, "read", e),
    })?;
    Ok(text)
}

fn check(path: &Path, kind: FileType) -> Result<(), IoError> {
    if kind.is_file() || is_handed_open(path) {
        return Ok(());
    }
    let what = if kind.is_dir() { "a folder" } else { special(kind) };
    let remedy = "name a file, or move this one out of the folder";
    Err(IoError::new(Kind::Unsupported, path, format!("is {what}, not a file"), remedy))
}

fn is_handed_open(path: &Path) -> bool {
    path == Path::new("/dev/stdin")
        || ["/dev/fd", "/proc/self/fd"].iter().any(|f| path.starts_with(f))
}

#[cfg(unix)]
fn special(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn special(_: FileType) -> &'static str {
    "a device"
}
