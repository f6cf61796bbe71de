//! A selection as a sorted multiset that is asked how often it holds an id.
//!
//! A selection of billions of ids does not fit into memory: a sorted npy or memory-mapped file of
//! more than `MOST_IN_MEMORY` ids stays on disk, with one id of each block of `BLOCK` in memory.

use std::{
    fs::File,
    io::{BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use curate_core::SampleId;
use sha2::{Digest, Sha256};

use crate::{
    atomic::AtomicFile,
    digest,
    error::IoError,
    ids::{id_of_row, row_of_id},
    npy::{self, Header},
    positioned::read_exact_at,
    subset::{self, SubsetFormat},
};

/// Ids that are held in memory (64 MiB).
const MOST_IN_MEMORY: usize = 1 << 22;

/// Ids that are read at once from disk: 4 KiB.
const BLOCK: usize = 256;

/// A sorted multiset of ids.
pub struct SortedIds {
    path: PathBuf,
    rows: Rows,
    distinct: usize,
    digest: String,
}

enum Rows {
    Memory(Vec<SampleId>),
    /// 16-byte rows in a file, and the first id of each block.
    Disk {
        file: File,
        offset: u64,
        len: usize,
        fences: Vec<SampleId>,
    },
}

impl SortedIds {
    /// Opens a selection in any form that [`subset::read`] reads. Ids that are not in order are
    /// sorted.
    ///
    /// # Errors
    /// When the file cannot be read, or is not a selection.
    pub fn open(path: &Path) -> Result<Self, IoError> {
        Self::open_with(path, MOST_IN_MEMORY)
    }

    fn open_with(path: &Path, most_in_memory: usize) -> Result<Self, IoError> {
        if let Some(on_disk) = Self::on_disk(path, most_in_memory)? {
            return Ok(on_disk);
        }
        let mut ids = subset::read(path)?;
        ids.sort_unstable();
        let mut summary = Summary::default();
        for &id in &ids {
            summary.add(id);
        }
        let (distinct, digest) = summary.finish();
        Ok(Self { path: path.to_owned(), rows: Rows::Memory(ids), distinct, digest })
    }

    /// `None` for a file that is small, in another form, or not in order.
    fn on_disk(path: &Path, most_in_memory: usize) -> Result<Option<Self>, IoError> {
        let Ok(SubsetFormat::Npy | SubsetFormat::Memmap) = SubsetFormat::of_path(path) else {
            return Ok(None);
        };
        let failed = |e| IoError::os(path, "read", e);
        let mut file = crate::files::open(path)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut offset = 0;
        let mut magic = [0; 6];
        if file.read_exact(&mut magic).is_ok() && magic == *npy::MAGIC {
            file.rewind().map_err(failed)?;
            let header = Header::of_file(path, &mut file)?;
            subset::check_header(path, &header, length)?;
            offset = header.len as u64;
        }
        let bytes = length - offset;
        let len = usize::try_from(bytes / 16).expect("a file's rows are counted in 64 bits");
        if bytes % 16 != 0 || len <= most_in_memory {
            return Ok(None);
        }
        file.seek(SeekFrom::Start(offset)).map_err(failed)?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let (mut fences, mut summary) = (Vec::new(), Summary::default());
        let mut row = [0; 16];
        for index in 0..len {
            reader.read_exact(&mut row).map_err(failed)?;
            let id = id_of_row(&row);
            if index % BLOCK == 0 {
                fences.push(id);
            }
            if !summary.add(id) {
                return Ok(None);
            }
        }
        let (distinct, digest) = summary.finish();
        let rows = Rows::Disk { file: reader.into_inner(), offset, len, fences };
        Ok(Some(Self { path: path.to_owned(), rows, distinct, digest }))
    }

    /// Number of ids, repeats included.
    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::Memory(ids) => ids.len(),
            Rows::Disk { len, .. } => *len,
        }
    }

    /// True when there is not an id.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of different ids.
    pub fn distinct(&self) -> usize {
        self.distinct
    }

    /// The SHA-256 of the sorted 16-byte rows.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The place of the first occurrence of an id, and how often it occurs.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn find(&self, id: SampleId) -> Result<(usize, usize), IoError> {
        let first = self.partition_point(|other| other < id)?;
        let end = self.partition_point(|other| other <= id)?;
        Ok((first, end - first))
    }

    /// How many ids at the front answer yes.
    fn partition_point(&self, yes: impl Fn(SampleId) -> bool) -> Result<usize, IoError> {
        match &self.rows {
            Rows::Memory(ids) => Ok(ids.partition_point(|&id| yes(id))),
            Rows::Disk { file, offset, len, fences } => {
                // The last block whose first id answers yes holds the end of the yeses.
                let Some(block) = fences.partition_point(|&id| yes(id)).checked_sub(1) else {
                    return Ok(0);
                };
                let first = block * BLOCK;
                let mut bytes = vec![0; BLOCK.min(len - first) * 16];
                read_exact_at(file, &mut bytes, offset + 16 * first as u64)
                    .map_err(|e| IoError::os(&self.path, "read", e))?;
                let (rows, _) = bytes.as_chunks::<16>();
                Ok(first + rows.partition_point(|row| yes(id_of_row(row))))
            }
        }
    }

    /// Writes the sorted ids as DataComp's npy subset.
    ///
    /// # Errors
    /// When the file cannot be read, or the bytes not be written.
    pub fn write_npy(&self, path: &Path) -> Result<(), IoError> {
        let mut out = AtomicFile::create(path)?;
        let failed = |e| IoError::os(path, "written", e);
        out.write_all(&npy::header_bytes(npy::UID_PAIR, &[self.len()])).map_err(failed)?;
        match &self.rows {
            Rows::Memory(ids) => {
                ids.iter().try_for_each(|&id| out.write_all(&row_of_id(id))).map_err(failed)?;
            }
            Rows::Disk { file, offset, len, .. } => {
                let (mut at, end) = (*offset, offset + 16 * *len as u64);
                let mut buffer = vec![0; 1 << 20];
                while at < end {
                    let n = buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
                    read_exact_at(file, &mut buffer[..n], at)
                        .map_err(|e| IoError::os(&self.path, "read", e))?;
                    out.write_all(&buffer[..n]).map_err(failed)?;
                    at += n as u64;
                }
            }
        }
        out.commit()
    }
}

/// What one pass over sorted ids tells.
#[derive(Default)]
struct Summary {
    last: Option<SampleId>,
    distinct: usize,
    hasher: Sha256,
}

impl Summary {
    /// False when the id is out of order.
    fn add(&mut self, id: SampleId) -> bool {
        let last = self.last.replace(id);
        self.distinct += usize::from(last != Some(id));
        self.hasher.update(row_of_id(id));
        last.is_none_or(|last| last <= id)
    }

    fn finish(self) -> (usize, String) {
        (self.distinct, digest::hex(&self.hasher.finalize()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn on_disk_and_in_memory_answer_alike() {
        let folder = tempfile::tempdir().unwrap();
        // Repeats that cross blocks, a gap, both ends.
        let mut ids: Vec<SampleId> = (0..2000).map(|i| SampleId(1 + i / 700 * 5)).collect();
        ids.extend((100..900).map(SampleId));
        ids.push(SampleId(u128::MAX));
        for format in [SubsetFormat::Npy, SubsetFormat::Memmap] {
            let path = folder.path().join(format.file_name());
            subset::write(&path, format, &ids).unwrap();
            let memory = SortedIds::open(&path).unwrap();
            let disk = SortedIds::open_with(&path, 10).unwrap();
            assert!(
                matches!(memory.rows, Rows::Memory(_)) && matches!(disk.rows, Rows::Disk { .. })
            );
            assert_eq!((memory.len(), memory.distinct()), (2801, 804));
            assert_eq!((disk.len(), disk.distinct()), (2801, 804));
            assert_eq!(memory.digest(), disk.digest());
            for id in (0..950).map(SampleId).chain([SampleId(u128::MAX), SampleId(u128::MAX - 1)]) {
                assert_eq!(memory.find(id).unwrap(), disk.find(id).unwrap(), "{id}");
            }
            assert_eq!(disk.find(SampleId(1)).unwrap(), (0, 700));
            let copy = folder.path().join("copy.npy");
            disk.write_npy(&copy).unwrap();
            let expected = folder.path().join("expected.npy");
            subset::write(&expected, SubsetFormat::Npy, &ids).unwrap();
            assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(&expected).unwrap());
        }
    }

    #[test]
    fn ids_out_of_order_are_sorted_not_lost() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.memmap");
        let rows: Vec<u8> = [3, 1, 2, 1].map(SampleId).into_iter().flat_map(row_of_id).collect();
        std::fs::write(&path, rows).unwrap();
        let ids = SortedIds::open_with(&path, 1).unwrap();
        assert_eq!(ids.find(SampleId(1)).unwrap(), (0, 2));
        assert_eq!(ids.find(SampleId(3)).unwrap(), (3, 1));
    }
}
