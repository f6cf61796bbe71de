//! Selections too large to hold.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
};

use curate_core::SampleId;

use crate::{
    atomic::AtomicFile,
    error::IoError,
    ids::{id_of_row, row_of_id},
    subset::{self, SubsetFormat, write_head, write_row},
    table::{self, Column},
};

/// Ids in memory at a time: 16 MiB of them.
const RUN: usize = 1 << 20;
/// Rows that a Parquet file is given at once.
const ROWS: usize = 1 << 16;

/// Writes a selection as [`subset::write`] does, the same bytes, from ids that come one by one in any
/// order. Sorted runs lie in temporary files until they are merged (of [`SubsetFormat::Hdf5`] all ids
/// are held in the end).
pub struct SubsetWriter {
    path: PathBuf,
    format: SubsetFormat,
    run: Vec<SampleId>,
    runs: Vec<File>,
    most: usize,
    count: usize,
}

impl SubsetWriter {
    /// A selection that will be `path`.
    pub fn new(path: &Path, format: SubsetFormat) -> Self {
        Self { path: path.to_owned(), format, run: vec![], runs: vec![], most: RUN, count: 0 }
    }

    /// Adds an id.
    ///
    /// # Errors
    /// When the temporary files cannot be written.
    pub fn push(&mut self, id: SampleId) -> Result<(), IoError> {
        self.run.push(id);
        self.count += 1;
        if self.run.len() < self.most {
            return Ok(());
        }
        let file = spill(&mut self.run).map_err(|e| IoError::os(&self.path, "written", e))?;
        self.runs.push(file);
        Ok(())
    }

    /// Puts the file in its place; answers how many ids it holds.
    ///
    /// # Errors
    /// When the bytes do not reach the disk.
    pub fn finish(mut self) -> Result<usize, IoError> {
        // What fits in memory never touches the temporary folder.
        if self.runs.is_empty() {
            subset::write(&self.path, self.format, &self.run)?;
            return Ok(self.count);
        }
        let failed = |e: io::Error| IoError::os(&self.path, "written", e);
        self.runs.push(spill(&mut self.run).map_err(failed)?);
        let mut ids = Merge::new(&self.runs).map_err(failed)?;
        match self.format {
            SubsetFormat::Hdf5 => {
                let ids: io::Result<Vec<SampleId>> = ids.collect();
                subset::write(&self.path, self.format, &ids.map_err(failed)?)?;
            }
            SubsetFormat::Parquet => self.write_table(&mut ids)?,
            format => {
                let mut file = AtomicFile::create(&self.path)?;
                write_head(&mut file, format, self.count)
                    .and_then(|()| ids.try_for_each(|id| write_row(&mut file, format, id?)))
                    .map_err(failed)?;
                file.commit()?;
            }
        }
        Ok(self.count)
    }

    fn write_table(&self, ids: &mut Merge<'_>) -> Result<(), IoError> {
        let mut next = || -> Result<Column, IoError> {
            let rows: io::Result<Vec<String>> =
                ids.by_ref().take(ROWS).map(|id| Ok(id?.to_string())).collect();
            rows.map(Column::Text).map_err(|e| IoError::os(&self.path, "written", e))
        };
        let mut table = table::Writer::create(&self.path, vec![("uid", next()?)])?;
        loop {
            let rows = next()?;
            if rows.is_empty() {
                return table.finish();
            }
            table.write(vec![rows])?;
        }
    }
}

/// Writes the ids, sorted, to a temporary file, and empties them.
fn spill(ids: &mut Vec<SampleId>) -> io::Result<File> {
    ids.sort_unstable();
    let mut out = BufWriter::new(tempfile::tempfile()?);
    ids.drain(..).try_for_each(|id| out.write_all(&row_of_id(id)))?;
    let mut file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(file)
}

/// Sorted runs as one.
struct Merge<'a> {
    runs: Vec<BufReader<&'a File>>,
    heads: BinaryHeap<Reverse<(SampleId, usize)>>,
}

impl<'a> Merge<'a> {
    fn new(runs: &'a [File]) -> io::Result<Self> {
        let mut merge =
            Self { runs: runs.iter().map(BufReader::new).collect(), heads: BinaryHeap::new() };
        (0..runs.len()).try_for_each(|run| merge.read(run))?;
        Ok(merge)
    }

    fn read(&mut self, run: usize) -> io::Result<()> {
        let mut row = [0; 16];
        match self.runs[run].read_exact(&mut row) {
            Ok(()) => self.heads.push(Reverse((id_of_row(&row), run))),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }
}

impl Iterator for Merge<'_> {
    type Item = io::Result<SampleId>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((id, run)) = self.heads.pop()?;
        Some(self.read(run).map(|()| id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_on_disk_give_the_bytes_of_a_selection_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let ids: Vec<SampleId> =
            (0..1000_u128).map(|i| SampleId(((i * 7919 % 503) << 60) | (i % 3))).collect();
        for format in SubsetFormat::ALL {
            if format == SubsetFormat::Hdf5 {
                continue;
            }
            let whole = folder.path().join(format!("whole-{}", format.file_name()));
            subset::write(&whole, format, &ids).unwrap();
            for most in [7, 1000, 5000] {
                let path = folder.path().join(format.file_name());
                let mut writer = SubsetWriter { most, ..SubsetWriter::new(&path, format) };
                ids.iter().for_each(|&id| writer.push(id).unwrap());
                assert_eq!(writer.finish().unwrap(), 1000);
                assert!(
                    std::fs::read(&path).unwrap() == std::fs::read(&whole).unwrap(),
                    "{format:?} in runs of {most}"
                );
            }
        }
    }

    #[test]
    fn nothing_is_an_empty_selection() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none.npy");
        assert_eq!(SubsetWriter::new(&path, SubsetFormat::Npy).finish().unwrap(), 0);
        assert!(subset::read(&path).unwrap().is_empty());
    }
}
