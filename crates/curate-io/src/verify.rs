//! Files read to their end, and compared with the checksums that they hold.
//!
//! | file | what is compared |
//! |---|---|
//! | `.npz` | the CRC-32 of every member, stored or deflated |
//! | `.parquet` | every page is unpacked, and its CRC-32 compared where its writer left one |
//! | `.tar` | the sums of the headers, as whenever a shard is opened; contents have none |
//! | others | nothing: they are read, so that a failing disk shows |

use std::{io::Read, path::Path};

use curate_core::Progress;
use rayon::prelude::*;

use crate::{error::IoError, files, npz::Npz, table::Reader};

/// Verifies a file.
///
/// # Errors
/// When it cannot be read to its end, when something in it does not match its checksum, or when the caller
/// cancels.
pub fn file(path: &Path, progress: &dyn Progress) -> Result<(), IoError> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("npz") => Npz::open(path)?.verify(progress),
        Some("parquet") => Reader::open(path)?.verify(progress),
        _ => read_through(path, progress),
    }
}

/// Verifies files in parallel; the errors of those that are damaged, in their order.
///
/// # Errors
/// When the caller cancels.
pub fn all<P: AsRef<Path> + Sync>(
    paths: &[P],
    progress: &dyn Progress,
) -> Result<Vec<IoError>, IoError> {
    progress.start("verify", paths.len() as u64, "files");
    let answers: Vec<Option<IoError>> = paths
        .par_iter()
        .map(|path| {
            let answer = file(path.as_ref(), progress);
            progress.advance(1);
            answer.err()
        })
        .collect();
    progress.finish();
    if let Some(path) = paths.first() {
        progress.check().map_err(|_| IoError::cancelled(path))?;
    }
    Ok(answers.into_iter().flatten().collect())
}

fn read_through(path: &Path, progress: &dyn Progress) -> Result<(), IoError> {
    let (mut from, mut buffer) = (files::open(path)?, vec![0; 1 << 20]);
    loop {
        progress.check().map_err(|_| IoError::cancelled(path))?;
        if from.read(&mut buffer).map_err(|e| IoError::os(path, "read", e))? == 0 {
            return Ok(());
        }
    }
}
