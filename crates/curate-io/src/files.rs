//! Pools of arrays and tables other than DataComp's: npy files, clip-retrieval's folders, JSON
//! lines, HDF5.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use curate_core::{Progress, SampleId, fault::Fault};
use rayon::prelude::*;
use serde_json::Value;

use crate::{
    IoError, Kind, Sample,
    datacomp::{read_samples, substitute_id},
    hdf5_file,
    pool::{Format, Listing, Shard, ShardIds, ShardRule, no_column, shard_files},
    table::Reader,
    vectors::Part,
    webdataset::id_of_key,
};

/// No record is longer; a line that is, is damage or an attack.
const LONGEST_LINE: u64 = 16 << 20;

/// The columns by which a table without `uid` names its rows, the first that is there.
pub(crate) const KEYS: [&str; 4] = ["key", "image_path", "url", "id"];

/// The columns that hold captions, the first that is there.
pub(crate) const CAPTIONS: [&str; 2] = ["text", "caption"];

/// The folders of clip-retrieval.
pub(crate) const CLIP_RETRIEVAL: [&str; 2] = ["img_emb", "text_emb"];

/// What describes the rows of each shard.
pub(crate) struct Files {
    pub(crate) format: Format,
    tables: Vec<Table>,
}

enum Table {
    /// Rows without a description: an npy file.
    Rows(usize),
    Parquet(PathBuf),
    Jsonl(PathBuf),
    Hdf5(PathBuf),
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
            let table = Table::of(file)?;
            let (ids, named) = table.ids(file)?;
            Ok((ids, (table, named)))
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
        self.tables.first().map_or(Ok(vec![]), Table::numeric_columns)
    }

    pub(crate) fn column(&self, listing: &Listing, name: &str) -> Result<Vec<f32>, IoError> {
        self.each_table(listing, |table, shard| table.column(name, shard))
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
        read: impl Fn(&Table, &Shard) -> Result<Vec<T>, IoError> + Sync,
    ) -> Result<Vec<T>, IoError> {
        let tables = self.tables.par_iter().zip(&listing.shards);
        let read: Vec<_> = tables
            .map(|(table, shard)| {
                let values = read(table, shard)?;
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

impl Table {
    fn of(file: &Path) -> Result<Self, IoError> {
        match file.extension().and_then(|e| e.to_str()) {
            Some("jsonl") => Ok(Self::Jsonl(file.to_owned())),
            Some("h5" | "hdf5") => Ok(Self::Hdf5(file.to_owned())),
            _ => {
                let rows = Part::open_npy(file)?.rows();
                let metadata = clip_retrieval_sibling(file, "metadata", "parquet");
                let Some(metadata) = metadata.filter(|m| m.exists()) else {
                    return Ok(Self::Rows(rows));
                };
                let there = Reader::open(&metadata)?.rows();
                if there == rows {
                    return Ok(Self::Parquet(metadata));
                }
                let problem = format!("has {there} rows, but {} has {rows}", file.display());
                let remedy = "write both files again";
                Err(IoError::new(Kind::Disagree, &metadata, problem, remedy))
            }
        }
    }

    /// The ids of the rows, and whether they come from the file; if not, they stand for nothing.
    fn ids(&self, file: &Path) -> Result<(ShardIds, bool), IoError> {
        let mut found = Found { file, ids: ShardIds::default() };
        let named = match self {
            Self::Rows(rows) => {
                found.ids.ids = vec![SampleId(0); *rows];
                false
            }
            Self::Parquet(path) => {
                let reader = Reader::open(path)?;
                let there = reader.text_columns();
                let has = |name: &&str| there.iter().any(|column| column == name);
                let id = ["uid"].iter().chain(&KEYS).find(|name| has(name));
                match id {
                    Some(id) => reader.each_text(id, None, |value| found.add(id, value))?,
                    None => found.ids.ids = vec![SampleId(0); reader.rows()],
                }
                if let Some(caption) = CAPTIONS.iter().find(|name| has(name)) {
                    let mut row = 0;
                    reader.each_text(caption, None, |text| {
                        found.caption(row, text);
                        row += 1;
                    })?;
                }
                id.is_some()
            }
            Self::Jsonl(path) => {
                let mut named = true;
                each_record(path, |row, record| {
                    let text = |name: &str| record.get(name).map(|v| v.as_str().map(str::to_owned));
                    let id =
                        ["uid"].into_iter().chain(KEYS).find_map(|key| Some((key, text(key)?)));
                    match id {
                        Some((key, value)) => found.add(key, value.as_deref()),
                        None => found.add("uid", None),
                    }
                    named &= row > 0 || id_named(&record);
                    let caption = CAPTIONS.into_iter().find_map(|name| text(name).flatten());
                    found.caption(row, caption.as_deref());
                    Ok(())
                })?;
                if !named {
                    found.ids.faults.retain(|&(_, fault)| fault != Fault::MalformedId);
                }
                named
            }
            Self::Hdf5(path) => {
                let rows = hdf5_file::rows(path)?;
                let names = hdf5_file::text(path, "uid", rows)?.map(|values| ("uid", values));
                let names = match names {
                    Some(names) => Some(names),
                    None => hdf5_file::text(path, "key", rows)?.map(|values| ("key", values)),
                };
                match &names {
                    Some((column, values)) => {
                        values.iter().for_each(|value| found.add(column, value.as_deref()));
                    }
                    None => found.ids.ids = vec![SampleId(0); rows],
                }
                names.is_some()
            }
        };
        found.ids.faults.sort_by_key(|&(row, _)| row);
        Ok((found.ids, named))
    }

    fn numeric_columns(&self) -> Result<Vec<String>, IoError> {
        match self {
            Self::Rows(_) => Ok(Vec::new()),
            Self::Parquet(path) => Ok(Reader::open(path)?.numeric_columns()),
            Self::Jsonl(path) => {
                let mut names = Vec::new();
                each_record(path, |row, record| {
                    if row == 0 {
                        let numbers = record.into_iter().filter(|(_, value)| value.is_number());
                        names = numbers.map(|(name, _)| name).collect();
                    }
                    Ok(())
                })?;
                Ok(names)
            }
            Self::Hdf5(path) => hdf5_file::numeric_columns(path),
        }
    }

    fn column(&self, name: &str, shard: &Shard) -> Result<Vec<f32>, IoError> {
        let missing = |path: &Path| {
            let there = self.numeric_columns().unwrap_or_default();
            no_column(path, name, &there)
        };
        match self {
            Self::Rows(_) => Err(missing(&shard.files[0])),
            Self::Parquet(path) => {
                let reader = Reader::open(path)?;
                if !reader.columns().iter().any(|column| column == name) {
                    return Err(missing(path));
                }
                reader.f32(name)
            }
            Self::Jsonl(path) => {
                let mut values = Vec::new();
                each_record(path, |_, record| {
                    let number = record.get(name).and_then(Value::as_f64);
                    values.push(number.map_or(f32::NAN, |number| number as f32));
                    Ok(())
                })?;
                if values.iter().all(|value| value.is_nan()) {
                    return Err(missing(path));
                }
                Ok(values)
            }
            Self::Hdf5(path) => {
                hdf5_file::column(path, name, shard.rows.len())?.ok_or_else(|| missing(path))
            }
        }
    }

    fn labels(&self, field: &str, rows: usize) -> Result<Vec<Option<String>>, IoError> {
        match self {
            Self::Rows(_) => Ok(vec![None; rows]),
            Self::Parquet(path) => {
                let reader = Reader::open(path)?;
                match reader.text_columns().iter().any(|column| column == field) {
                    true => reader.text(field, None),
                    false => Ok(vec![None; rows]),
                }
            }
            Self::Jsonl(path) => {
                let mut values = Vec::new();
                each_record(path, |_, record| {
                    values.push(record.get(field).and_then(Value::as_str).map(str::to_owned));
                    Ok(())
                })?;
                Ok(values)
            }
            Self::Hdf5(path) => {
                Ok(hdf5_file::text(path, field, rows)?.unwrap_or_else(|| vec![None; rows]))
            }
        }
    }

    fn samples(
        &self,
        shard: &Shard,
        rows: &[usize],
        ids: &[SampleId],
    ) -> Result<Vec<Sample>, IoError> {
        let sample = |row: usize| Sample {
            id: ids[shard.rows.start + row],
            shard: shard.name.clone(),
            ..Sample::default()
        };
        match self {
            Self::Rows(_) => Ok(rows.iter().map(|&row| sample(row)).collect()),
            Self::Parquet(path) => {
                let mut samples = read_samples(path, shard, rows, ids)?;
                for sample in &mut samples {
                    let caption = sample.fields.get("caption").cloned();
                    sample.caption = sample.caption.take().or(caption);
                }
                Ok(samples)
            }
            Self::Jsonl(path) => {
                let mut samples = Vec::with_capacity(rows.len());
                each_record(path, |row, record| {
                    if rows.binary_search(&row).is_ok() {
                        let mut sample = sample(row);
                        for (name, value) in record {
                            match value {
                                Value::String(text) => drop(sample.fields.insert(name, text)),
                                Value::Number(n) => drop(sample.fields.insert(name, n.to_string())),
                                _ => {}
                            }
                        }
                        let caption = |name: &&str| sample.fields.contains_key(*name);
                        sample.caption = CAPTIONS
                            .into_iter()
                            .find(caption)
                            .and_then(|name| sample.fields.remove(name));
                        samples.push(sample);
                    }
                    Ok(())
                })?;
                Ok(samples)
            }
            Self::Hdf5(path) => {
                let all = shard.rows.len();
                let mut captions = None;
                for name in CAPTIONS {
                    captions = captions.or(hdf5_file::text(path, name, all)?);
                }
                let caption = |row: usize| captions.as_ref().and_then(|texts| texts[row].clone());
                Ok(rows
                    .iter()
                    .map(|&row| Sample { caption: caption(row), ..sample(row) })
                    .collect())
            }
        }
    }
}

fn id_named(record: &BTreeMap<String, Value>) -> bool {
    ["uid"].iter().chain(&KEYS).any(|name| record.contains_key(*name))
}

/// The ids that were found so far.
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

/// Hands every record of a JSON lines file to `each`, with its number; empty lines are none.
fn each_record(
    path: &Path,
    mut each: impl FnMut(usize, BTreeMap<String, Value>) -> Result<(), IoError>,
) -> Result<(), IoError> {
    let failed = |e| IoError::os(path, "read", e);
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?);
    let (mut line, mut row, mut number) = (Vec::new(), 0, 0_u64);
    loop {
        line.clear();
        (&mut reader).take(LONGEST_LINE).read_until(b'\n', &mut line).map_err(failed)?;
        if line.is_empty() {
            return Ok(());
        }
        number += 1;
        if line.len() as u64 == LONGEST_LINE {
            let problem = format!("line {number} is longer than {} MiB", LONGEST_LINE >> 20);
            return Err(IoError::malformed(path, problem));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let record = serde_json::from_slice(&line).map_err(|e| {
            IoError::malformed(path, format!("line {number} is no JSON object")).caused_by(e)
        })?;
        each(row, record)?;
        row += 1;
    }
}
