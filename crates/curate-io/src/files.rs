//! Pools of arrays and tables other than DataComp's: npy files, clip-retrieval's folders, JSON
//! lines, HDF5.

mod hdf5;
mod jsonl;
mod parquet;

use std::path::{Path, PathBuf};

use curate_core::{Progress, SampleId, fault::Fault};
use rayon::prelude::*;

use self::{hdf5::Hdf5, jsonl::Jsonl, parquet::Parquet};
use crate::{
    IoError, Kind, Sample,
    datacomp::substitute_id,
    pool::{Format, Listing, Shard, ShardIds, ShardRule, no_column, shard_files},
    table::Reader,
    vectors::Part,
    webdataset::id_of_key,
};

/// The columns by which a table without `uid` names its rows, the first that is there.
pub(crate) const KEYS: [&str; 4] = ["key", "image_path", "url", "id"];

/// The columns that hold captions, the first that is there.
pub(crate) const CAPTIONS: [&str; 2] = ["text", "caption"];

/// The folders of clip-retrieval.
pub(crate) const CLIP_RETRIEVAL: [&str; 2] = ["img_emb", "text_emb"];

/// What describes the rows of each shard.
pub(crate) struct Files {
    pub(crate) format: Format,
    tables: Vec<Box<dyn Table>>,
}

/// What describes the rows of one shard.
trait Table: Send + Sync {
    /// Hands the name of every row to `found`, and what is missing; says whether the file has names.
    /// Without them the ids are zeros.
    fn names(&self, found: &mut Found<'_>) -> Result<bool, IoError>;

    fn numeric_columns(&self) -> Result<Vec<String>, IoError>;

    /// The numbers of a column, a gap as NaN; `None` where there is no such column.
    fn column(&self, name: &str, rows: usize) -> Result<Option<Vec<f32>>, IoError>;

    /// A text of every row; without such a field, of none.
    fn labels(&self, field: &str, rows: usize) -> Result<Vec<Option<String>>, IoError>;

    /// The samples of these rows of the shard, ascending.
    fn samples(
        &self,
        shard: &Shard,
        rows: &[usize],
        ids: &[SampleId],
    ) -> Result<Vec<Sample>, IoError>;

    /// The file to name when something is missing.
    fn path(&self) -> &Path;
}

impl Files {
    pub(crate) fn open(
        path: &Path,
        format: Format,
        rule: ShardRule<'_>,
        progress: &dyn Progress,
    ) -> Result<(Listing, Self), IoError> {
        let files = match format {
            Format::ClipRetrieval => clip_retrieval_files(path)?,
            Format::Npy => shard_files(path, "npy")?,
            Format::Hdf5 => hdf5_files(path)?,
            _ => {
                let metadata = path.join("metadata");
                shard_files(if metadata.is_dir() { &metadata } else { path }, "jsonl")?
            }
        };
        let read = |file: &Path| {
            let table = table_of(file)?;
            let mut found = Found { file, ids: ShardIds::default() };
            let named = table.names(&mut found)?;
            found.ids.faults.sort_by_key(|&(row, _)| row);
            Ok((found.ids, (table, named)))
        };
        let (mut listing, read) = Listing::read("read metadata", files, rule, progress, read)?;
        let mut tables = Vec::with_capacity(read.len());
        for (shard, (_, (table, named))) in listing.shards.iter().zip(read) {
            if !named {
                // Rows without names are known by their number in the pool.
                let rows = shard.rows.clone();
                rows.for_each(|row| listing.ids[row] = SampleId(row as u128));
            }
            tables.push(table);
        }
        Ok((listing, Self { format, tables }))
    }

    pub(crate) fn numeric_columns(&self) -> Result<Vec<String>, IoError> {
        self.tables.first().map_or(Ok(vec![]), |table| table.numeric_columns())
    }

    pub(crate) fn column(&self, listing: &Listing, name: &str) -> Result<Vec<f32>, IoError> {
        self.each_table(listing, |table, shard| {
            table.column(name, shard.rows.len())?.ok_or_else(|| {
                let there = table.numeric_columns().unwrap_or_default();
                no_column(table.path(), name, &there)
            })
        })
    }

    pub(crate) fn labels(
        &self,
        listing: &Listing,
        field: &str,
    ) -> Result<Vec<Option<String>>, IoError> {
        self.each_table(listing, |table, shard| table.labels(field, shard.rows.len()))
    }

    fn each_table<T: Clone + Send>(
        &self,
        listing: &Listing,
        read: impl Fn(&dyn Table, &Shard) -> Result<Vec<T>, IoError> + Sync,
    ) -> Result<Vec<T>, IoError> {
        let tables = self.tables.par_iter().zip(&listing.shards);
        let read: Vec<_> = tables
            .map(|(table, shard)| {
                let values = read(&**table, shard)?;
                if values.len() == shard.rows.len() {
                    return Ok(values);
                }
                let problem = "changed while it was read: it has other rows now";
                Err(IoError::new(Kind::Disagree, &shard.files[0], problem, "start again"))
            })
            .collect();
        Ok(read.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
    }

    pub(crate) fn samples(
        &self,
        listing: &Listing,
        rows: &[usize],
    ) -> Result<Vec<Sample>, IoError> {
        let mut samples = Vec::with_capacity(rows.len());
        for (shard, table) in listing.shards.iter().zip(&self.tables) {
            let from = rows.partition_point(|&row| row < shard.rows.start);
            let to = rows.partition_point(|&row| row < shard.rows.end);
            let local: Vec<usize> =
                rows[from..to].iter().map(|row| row - shard.rows.start).collect();
            if !local.is_empty() {
                samples.extend(table.samples(shard, &local, &listing.ids)?);
            }
        }
        Ok(samples)
    }
}

/// The files of `img_emb`, or of `text_emb` where there are no images, in the order of their
/// numbers.
fn clip_retrieval_files(path: &Path) -> Result<Vec<PathBuf>, IoError> {
    let folder = CLIP_RETRIEVAL.map(|name| path.join(name)).into_iter().find(|f| f.is_dir());
    let mut files = shard_files(&folder.unwrap_or_else(|| path.to_owned()), "npy")?;
    files.sort_by_key(|file| (number_of(file), file.clone()));
    Ok(files)
}

/// The number at the end of `img_emb_12.npy`.
fn number_of(file: &Path) -> Option<u64> {
    file.file_stem()?.to_str()?.rsplit_once('_')?.1.parse().ok()
}

fn hdf5_files(path: &Path) -> Result<Vec<PathBuf>, IoError> {
    let found = ["h5", "hdf5"].map(|ending| shard_files(path, ending));
    match found {
        [Ok(mut a), Ok(b)] => {
            a.extend(b);
            a.sort_unstable();
            a.dedup();
            Ok(a)
        }
        [Ok(files), Err(_)] | [Err(_), Ok(files)] => Ok(files),
        [Err(e), Err(_)] => Err(e),
    }
}

/// Where clip-retrieval puts the array of this folder, or the metadata, that belong to `file`,
/// `FOLDER/img_emb/img_emb_0.npy`.
pub(crate) fn clip_retrieval_sibling(file: &Path, folder: &str, ending: &str) -> Option<PathBuf> {
    let of = file.parent()?;
    let name = of.file_name()?.to_str()?;
    let rest = file.file_stem()?.to_str()?.strip_prefix(name)?;
    let ours = CLIP_RETRIEVAL.contains(&name);
    ours.then(|| of.with_file_name(folder).join(format!("{folder}{rest}.{ending}")))
}

/// The description of the rows of a file.
fn table_of(file: &Path) -> Result<Box<dyn Table>, IoError> {
    match file.extension().and_then(|e| e.to_str()) {
        Some("jsonl") => Ok(Box::new(Jsonl(file.to_owned()))),
        Some("h5" | "hdf5") => Ok(Box::new(Hdf5(file.to_owned()))),
        _ => {
            let rows = Part::open_npy(file)?.rows();
            let metadata = clip_retrieval_sibling(file, "metadata", "parquet");
            let Some(metadata) = metadata.filter(|m| m.exists()) else {
                return Ok(Box::new(Rows { file: file.to_owned(), rows }));
            };
            let there = Reader::open(&metadata)?.rows();
            if there == rows {
                return Ok(Box::new(Parquet(metadata)));
            }
            let problem = format!("has {there} rows, but {} has {rows}", file.display());
            let remedy = "write both files again";
            Err(IoError::new(Kind::Disagree, &metadata, problem, remedy))
        }
    }
}

/// Rows without a description: those of an npy file.
struct Rows {
    file: PathBuf,
    rows: usize,
}

impl Table for Rows {
    fn names(&self, found: &mut Found<'_>) -> Result<bool, IoError> {
        found.ids.ids = vec![SampleId(0); self.rows];
        Ok(false)
    }

    fn numeric_columns(&self) -> Result<Vec<String>, IoError> {
        Ok(Vec::new())
    }

    fn column(&self, _: &str, _: usize) -> Result<Option<Vec<f32>>, IoError> {
        Ok(None)
    }

    fn labels(&self, _: &str, rows: usize) -> Result<Vec<Option<String>>, IoError> {
        Ok(vec![None; rows])
    }

    fn samples(
        &self,
        shard: &Shard,
        rows: &[usize],
        ids: &[SampleId],
    ) -> Result<Vec<Sample>, IoError> {
        Ok(rows.iter().map(|&row| bare(shard, row, ids)).collect())
    }

    fn path(&self) -> &Path {
        &self.file
    }
}

/// A sample of which only the name is known.
fn bare(shard: &Shard, row: usize, ids: &[SampleId]) -> Sample {
    Sample { id: ids[shard.rows.start + row], shard: shard.name.clone(), ..Sample::default() }
}

/// The ids that were found so far, and what is wrong.
struct Found<'a> {
    file: &'a Path,
    ids: ShardIds,
}

impl Found<'_> {
    /// A `uid` is an id; another name is one if it has 32 hexadecimal digits, and else hashed.
    fn add(&mut self, column: &str, value: Option<&str>) {
        let row = self.ids.ids.len();
        let id = match value {
            Some(uid) if column == "uid" => uid.parse().ok(),
            Some(key) => Some(id_of_key(key)),
            None => None,
        };
        if id.is_none() {
            self.ids.faults.push((row, Fault::MalformedId));
        }
        self.ids.ids.push(id.unwrap_or_else(|| substitute_id(self.file, row)));
    }

    fn caption(&mut self, row: usize, text: Option<&str>) {
        if text.is_none() {
            self.ids.faults.push((row, Fault::CaptionMissing));
        }
    }
}
