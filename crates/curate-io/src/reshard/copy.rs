//! The samples of one output shard, copied from where they lie, or compared with those that are there.

use std::{fs::File, io::Write, path::Path};

use curate_core::Progress;

use super::{options::ReshardOptions, scan::Source, tar_writer::TarWriter};
use crate::{
    atomic::AtomicFile,
    error::{IoError, Kind},
    files,
    tar_samples::{Texts, known_by, read_sample},
};

/// Which copies of which samples of which source, in order.
pub(super) type Copies = [(usize, usize, u32)];

/// Writes a shard, which is not in its place yet.
pub(super) fn write_shard(
    sources: &[Source],
    copies: &Copies,
    options: ReshardOptions,
    path: &Path,
    progress: &dyn Progress,
) -> Result<AtomicFile, IoError> {
    copy(sources, copies, options, path, TarWriter::create(path)?, progress)
}

/// True when the file at `path` is, byte by byte, what [`write_shard`] would write.
pub(super) fn is_written(
    sources: &[Source],
    copies: &Copies,
    options: ReshardOptions,
    path: &Path,
    progress: &dyn Progress,
) -> Result<bool, IoError> {
    match TarWriter::compare(path) {
        Ok(there) => Ok(copy(sources, copies, options, path, there, progress)?.was_same()),
        Err(e) if e.kind == Kind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

fn copy<W: Write>(
    sources: &[Source],
    copies: &Copies,
    options: ReshardOptions,
    path: &Path,
    mut out: TarWriter<'_, W>,
    progress: &dyn Progress,
) -> Result<W, IoError> {
    // Input order opens each file once; a shuffle at most as often as its source changes.
    let mut open: Option<(usize, File)> = None;
    let mut before = (String::new(), 0);
    for &(source, sample, copy) in copies {
        progress.check().map_err(|_| IoError::cancelled(path))?;
        let Source { tar, name, picked, .. } = &sources[source];
        if open.as_ref().is_none_or(|(at, _)| *at != source) {
            open = Some((source, files::open(tar)?));
        }
        let (_, file) = open.as_ref().expect("just opened");
        let sample = read_sample(tar, file, picked[sample].bytes.clone())?;
        let texts = Texts::record_of(tar, file, &sample)?;
        let record = texts.record().ok().flatten();
        let uid = match record.as_ref().and_then(|record| record.get("uid")?.name()) {
            Some(uid) => uid.into_owned(),
            None => {
                let known = known_by(&sample, record.as_ref());
                known.id_in(name, options.ids).unwrap_or_default().to_string()
            }
        };
        // Two samples of one key side by side would be one to webdataset, with every name twice.
        let follows = before.0 == uid && copy <= before.1;
        let copy = if follows { before.1 + 1 } else { copy };
        for member in sample.sorted_members() {
            out.append(&format!("{uid}-{copy}.{}", member.ending), tar, file, member)?;
        }
        before = (uid, copy);
    }
    out.finish()
}
