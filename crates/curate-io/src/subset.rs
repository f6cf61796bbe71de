//! Selections as files that the next tool reads.

use std::{
    borrow::Cow,
    ffi::OsStr,
    io::Write,
    path::{Path, PathBuf},
};

use curate_core::{
    SampleId,
    json::{self, Record},
};
use serde::{Deserialize, Serialize};

use crate::{
    atomic::AtomicFile,
    error::{IoError, Kind},
    hdf5_file,
    ids::{id_of_row, row_of_id},
    npy::{self, Dtype, Header},
    table::{self, Column},
};

/// Ids that are written at once.
const ROWS_AT_ONCE: usize = 1 << 14;

/// A form in which a selection is written.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SubsetFormat {
    /// DataComp's subset: an npy file of `u8,u8`, sorted, as its resharder reads it.
    Npy,
    /// The same 16-byte rows without a header, for `np.memmap`.
    Memmap,
    /// A Parquet table with the column `uid`.
    Parquet,
    /// One JSON object a line, `{"uid": "…"}`.
    Jsonl,
    /// One id a line.
    Ids,
    /// HDF5 with the dataset `uid`; needs the feature `hdf5`.
    Hdf5,
}

impl SubsetFormat {
    /// Every form.
    pub const ALL: [Self; 6] =
        [Self::Npy, Self::Memmap, Self::Parquet, Self::Jsonl, Self::Ids, Self::Hdf5];

    /// The name of the file of this form.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Npy => "subset.npy",
            Self::Memmap => "subset.memmap",
            Self::Parquet => "subset.parquet",
            Self::Jsonl => "subset.jsonl",
            Self::Ids => "subset.txt",
            Self::Hdf5 => "subset.h5",
        }
    }

    /// The form that a file's ending asks for.
    ///
    /// # Errors
    /// When no form has that ending.
    pub fn of_path(path: &Path) -> Result<Self, IoError> {
        match path.extension().and_then(OsStr::to_str) {
            Some("npy") => Ok(Self::Npy),
            Some("memmap" | "bin") => Ok(Self::Memmap),
            Some("parquet") => Ok(Self::Parquet),
            Some("jsonl") => Ok(Self::Jsonl),
            Some("txt" | "ids") => Ok(Self::Ids),
            Some("h5" | "hdf5") => Ok(Self::Hdf5),
            _ => {
                let remedy = "name it .npy, .memmap, .parquet, .jsonl, .txt or .h5";
                Err(IoError::new(Kind::Unsupported, path, "has no ending of a subset", remedy))
            }
        }
    }
}

/// Writes a selection, sorted by id; an id that occurs several times is written as often, which
/// DataComp's resharder takes as a wish for repeats.
///
/// # Errors
/// When the bytes do not reach the disk.
pub fn write(path: &Path, format: SubsetFormat, ids: &[SampleId]) -> Result<(), IoError> {
    let mut ids = Cow::Borrowed(ids);
    if !ids.is_sorted() {
        ids.to_mut().sort_unstable();
    }
    if format == SubsetFormat::Parquet {
        let uids = ids.iter().map(SampleId::to_string).collect();
        return table::write(path, vec![("uid", Column::Text(uids))]);
    }
    if format == SubsetFormat::Hdf5 {
        return hdf5_file::write_ids(path, &ids);
    }
    let mut file = AtomicFile::create(path)?;
    write_head(&mut file, format, ids.len())
        .and_then(|()| write_rows(&mut file, format, &ids))
        .map_err(|e| IoError::os(path, "written", e))?;
    file.commit()
}

/// What stands before the ids.
pub(crate) fn write_head(
    out: &mut impl Write,
    format: SubsetFormat,
    count: usize,
) -> std::io::Result<()> {
    if format == SubsetFormat::Npy {
        out.write_all(&npy::header_bytes(npy::UID_PAIR, &[count]))?;
    }
    Ok(())
}

/// Ids in a form that is neither Parquet nor HDF5.
fn write_rows(out: &mut impl Write, format: SubsetFormat, ids: &[SampleId]) -> std::io::Result<()> {
    let mut rows = Vec::new();
    for ids in ids.chunks(ROWS_AT_ONCE) {
        rows.clear();
        ids.iter().try_for_each(|id| write_row(&mut rows, format, *id))?;
        out.write_all(&rows)?;
    }
    Ok(())
}

/// An id in a form that is neither Parquet nor HDF5.
pub(crate) fn write_row(
    out: &mut impl Write,
    format: SubsetFormat,
    id: SampleId,
) -> std::io::Result<()> {
    match format {
        SubsetFormat::Jsonl => writeln!(out, "{{\"uid\": \"{id}\"}}"),
        SubsetFormat::Ids => writeln!(out, "{id}"),
        _ => out.write_all(&row_of_id(id)),
    }
}

/// Reads a selection in any form that [`write()`] writes, repeats included, in file order.
///
/// # Errors
/// When the ending is unknown, the file is damaged, or holds something that is not an id.
pub fn read(path: &Path) -> Result<Vec<SampleId>, IoError> {
    let format = SubsetFormat::of_path(path)?;
    match format {
        SubsetFormat::Parquet => {
            let mut uids = Vec::new();
            let table = table::Reader::open(path)?;
            table.each_uid("uid", |uid| uids.push(uid.map(str::to_owned)))?;
            let uids = uids.iter().map(|uid| uid.as_deref().unwrap_or(""));
            parse_lines(path, uids.enumerate())
        }
        SubsetFormat::Hdf5 => {
            let uids = hdf5_file::read_ids(path)?;
            let uids = uids.iter().map(|uid| uid.as_deref().unwrap_or(""));
            parse_lines(path, uids.enumerate())
        }
        SubsetFormat::Npy | SubsetFormat::Memmap => {
            let bytes = crate::files::read(path)?;
            pairs(path, &bytes, format)
        }
        SubsetFormat::Ids => {
            let text = read_text(path)?;
            parse_lines(
                path,
                text.trim_start_matches('\u{feff}')
                    .lines()
                    .map(str::trim)
                    .enumerate()
                    .filter(|(_, l)| !l.is_empty()),
            )
        }
        SubsetFormat::Jsonl => {
            let text = crate::files::read(path)?;
            let mut uids = Vec::new();
            for (number, line) in text.split(|&byte| byte == b'\n').enumerate() {
                if json::without_mark(line).iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let record = Record::parse(line)
                    .map_err(|e| IoError::malformed(path, format!("line {} {e}", number + 1)))?;
                let uid = record.get("uid").and_then(|uid| uid.name()).unwrap_or_default();
                uids.push((number, uid.into_owned()));
            }
            parse_lines(path, uids.iter().map(|(number, uid)| (*number, uid.as_str())))
        }
    }
}

fn read_text(path: &Path) -> Result<String, IoError> {
    crate::files::read_text(path)
}

/// Reads a selection as [`read`] does, and sorts it.
///
/// # Errors
/// As [`read`].
pub fn read_sorted(path: &Path) -> Result<Vec<SampleId>, IoError> {
    let mut ids = read(path)?;
    ids.sort_unstable();
    Ok(ids)
}

fn parse_lines<'a>(
    path: &Path,
    lines: impl Iterator<Item = (usize, &'a str)>,
) -> Result<Vec<SampleId>, IoError> {
    lines
        .map(|(number, text)| {
            text.parse().map_err(|e| {
                IoError::malformed(path, format!("line {}, field `uid`: {e}", number + 1))
            })
        })
        .collect()
}

fn pairs(path: &Path, bytes: &[u8], format: SubsetFormat) -> Result<Vec<SampleId>, IoError> {
    let mut rows = bytes;
    if format == SubsetFormat::Npy || bytes.starts_with(npy::MAGIC) {
        let header = Header::of_file(path, bytes)?;
        check_header(path, &header, bytes.len() as u64)?;
        rows = &bytes[header.len..];
    }
    let (rows, rest) = rows.as_chunks::<16>();
    if !rest.is_empty() {
        let problem = "is not a whole number of 16-byte ids";
        return Err(IoError::new(Kind::Truncated, path, problem, "write it again"));
    }
    Ok(rows.iter().map(id_of_row).collect())
}

/// An error unless a file of so many bytes is a DataComp subset.
pub(crate) fn check_header(path: &Path, header: &Header, length: u64) -> Result<(), IoError> {
    if header.dtype != Dtype::UidPair || header.shape.len() != 1 {
        let shape = npy::shape_of(&header.shape);
        let problem = format!("is no subset: it holds {} of shape {shape}", header.dtype);
        let remedy = "a subset has the element type u8,u8 and one axis";
        return Err(IoError::new(Kind::Malformed, path, problem, remedy));
    }
    let there = length.saturating_sub(header.len as u64);
    if header.data_len().map(|len| len as u64) != Some(there) {
        let problem = format!("promises {} ids, but holds {there} bytes of them", header.shape[0]);
        return Err(IoError::new(Kind::Truncated, path, problem, "write it again"));
    }
    Ok(())
}

/// The subset files of a run folder, by form.
pub fn files_in(folder: &Path, formats: &[SubsetFormat]) -> Vec<(SubsetFormat, PathBuf)> {
    formats.iter().map(|format| (*format, folder.join(format.file_name()))).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_form_holds_the_sorted_ids_with_their_repeats() {
        let folder = tempfile::tempdir().unwrap();
        let ids = [u128::MAX, 3, 1 << 64, 3].map(SampleId);
        let sorted = [3, 3, 1 << 64, u128::MAX].map(SampleId);
        let with_hdf5 = cfg!(feature = "hdf5");
        for (format, path) in files_in(folder.path(), &SubsetFormat::ALL) {
            if format == SubsetFormat::Hdf5 && !with_hdf5 {
                let error = write(&path, format, &ids).unwrap_err().to_string();
                assert!(error.contains("build with `--features hdf5`"), "{error}");
                continue;
            }
            write(&path, format, &ids).unwrap();
            assert_eq!(read(&path).unwrap(), sorted, "{format:?}");
            write(&path, format, &[]).unwrap();
            assert_eq!(read(&path).unwrap(), [], "{format:?}");
        }
    }

    #[test]
    fn an_array_that_is_no_subset_is_told_in_words_of_numpy() {
        let header = |descr: &str, shape: &[usize]| {
            let bytes = npy::header_bytes(descr, shape);
            let header = Header::read(&bytes[..]).unwrap();
            check_header(Path::new("a.npy"), &header, 0).unwrap_err().to_string()
        };
        for (descr, shape, expected) in [
            ("'|O'", &[3][..], "it holds '|O' of shape (3,);"),
            ("'<f4'", &[3, 2], "it holds '<f4' of shape (3, 2);"),
            (npy::UID_PAIR, &[3, 1], "it holds [('f0', '<u8'), ('f1', '<u8')] of shape (3, 1);"),
        ] {
            let error = header(descr, shape);
            assert!(error.contains(expected), "{error}");
        }
    }

    /// `fixtures/datacomp_mini` holds files that DataComp's own code wrote with numpy.
    #[test]
    fn npy_and_memmap_bytes_are_those_of_numpy() {
        let fixtures: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "..", "..", "fixtures", "datacomp_mini", "expected"]
                .iter()
                .collect();
        let folder = tempfile::tempdir().unwrap();
        for name in ["basic_filter.npy", "basic_filter.memmap", "no_filter.npy", "image_based.npy"]
        {
            let golden = fixtures.join(name);
            let format = SubsetFormat::of_path(&golden).unwrap();
            let mut ids = read(&golden).unwrap();
            ids.reverse();
            let ours = folder.path().join(name);
            write(&ours, format, &ids).unwrap();
            assert_eq!(fs::read(&ours).unwrap(), fs::read(&golden).unwrap(), "{name}");
        }
    }

    #[test]
    fn damaged_files_name_the_line_and_the_field() {
        let folder = tempfile::tempdir().unwrap();
        let complaint = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            read(&path).unwrap_err().to_string()
        };
        assert!(
            complaint("a.txt", b"12\nxyz\n")
                .contains("line 2, field `uid`: `xyz` is not a sample id")
        );
        assert!(
            complaint("a.jsonl", b"{\"uid\": \"1\"}\n{\"id\": 2}\n")
                .contains("line 2, field `uid`")
        );
        assert!(complaint("a.jsonl", b"[1]\n").contains("line 1 is not a JSON object but a list"));
        assert!(complaint("a.memmap", &[0; 17]).contains("16-byte"));
        assert!(complaint("a.csv", b"").contains("no ending of a subset"));
        let mut cut = npy::header_bytes(npy::UID_PAIR, &[2]);
        cut.extend([0; 16]);
        assert!(complaint("a.npy", &cut).contains("promises 2 ids"));
        assert!(complaint("b.npy", &npy::header_bytes("'<f4'", &[0])).contains("is no subset"));
    }
}
