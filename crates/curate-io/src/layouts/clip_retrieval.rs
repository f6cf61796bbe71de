//! clip-retrieval's folders: `img_emb/img_emb_0.npy`, `text_emb/text_emb_0.npy` and
//! `metadata/metadata_0.parquet`, in the order of their numbers. And npy files without any of that.

use std::path::{Path, PathBuf};

use super::parquet_rows;
use crate::{
    arrays_beside::{Place, places_beside},
    error::{IoError, Kind},
    layout::{
        CAPTIONS, Certainty, Detail, KEYS, Layout, Names, Numbers, OpenShard, RowIds, ShardRows,
        Sign,
    },
    shard::Sample,
    shard_files::{has_file, shard_files},
    table::Reader,
    vectors::StoredArray,
};

/// The folders of arrays, which are the names of their embeddings too.
const ARRAYS: [&str; 2] = ["img_emb", "text_emb"];

/// The folder of what describes the rows.
const METADATA: &str = "metadata";

pub(super) struct ClipRetrieval;

impl Layout for ClipRetrieval {
    fn name(&self) -> &'static str {
        "clip-retrieval folders"
    }

    fn signs(&self) -> &'static [Sign] {
        const SIGN: Sign = Sign { folder: ARRAYS[0], ending: "npy", certainty: Certainty::Own };
        &[SIGN, Sign { folder: ARRAYS[1], ..SIGN }]
    }

    fn endings(&self) -> &'static [&'static str] {
        &[]
    }

    /// The files of `img_emb`, or of `text_emb` where there are no images. By number: names alone
    /// would put `img_emb_10` before `img_emb_2`.
    fn shards(&self, path: &Path) -> Result<Vec<PathBuf>, IoError> {
        let folder = ARRAYS.map(|name| path.join(name)).into_iter().find(|f| f.is_dir());
        let folder = folder.unwrap_or_else(|| path.to_owned());
        let mut files = shard_files(&folder, &["npy"])?;
        // A part that another folder has is missing here: opening it says so.
        files.extend(parts_elsewhere(path, &folder).filter(|part| !part.exists()));
        files.sort_by_key(|file| (number_of(file), file.clone()));
        files.dedup();
        Ok(files)
    }

    fn lost(&self, file: &Path) -> IoError {
        let problem = "does not exist, but other folders of the pool have this part";
        IoError::new(Kind::NotFound, file, problem, "fetch it, or move the others away")
    }

    fn open(&self, file: &Path) -> Result<(ShardRows, Box<dyn OpenShard>), IoError> {
        open(file)
    }

    fn reopen(&self, file: &Path, rows: usize) -> Result<Box<dyn OpenShard>, IoError> {
        Ok(reopen(file, rows))
    }

    fn companions(&self, file: &Path) -> Vec<PathBuf> {
        companions(file)
    }

    #[cfg(feature = "object-store")]
    fn needed(&self, _: crate::layout::Has<'_>) -> crate::layout::Needed {
        let folders = [&[METADATA], &ARRAYS[..]].concat();
        crate::layout::Needed { folders, endings: vec!["parquet", "npy"] }
    }
}

/// Where the parts lie in `folder` that the pool's other folders have.
fn parts_elsewhere(pool: &Path, folder: &Path) -> impl Iterator<Item = PathBuf> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let others = [(ARRAYS[0], "npy"), (ARRAYS[1], "npy"), (METADATA, "parquet")];
    let named = if ARRAYS.contains(&name.as_str()) { &others[..] } else { &[] };
    let files = named.iter().flat_map(|(other, ending)| {
        let files = shard_files(&pool.join(other), &[ending]).unwrap_or_default();
        files.into_iter().filter_map(|file| rest_of(&file, other))
    });
    let here = folder.to_owned();
    let parts: Vec<String> = files.collect();
    parts.into_iter().map(move |rest| here.join(format!("{name}{rest}.npy")))
}

/// `_0` of `img_emb_0.npy`, a file of the folder `img_emb`; `None` for other names.
fn rest_of(file: &Path, folder: &str) -> Option<String> {
    let rest = file.file_stem()?.to_str()?.strip_prefix(folder)?;
    let number = rest.strip_prefix('_')?;
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| rest.to_owned())
}

/// Whether a folder of parts, in which `file` would lie, has any.
fn has_parts(file: &Path) -> bool {
    let folder = file.parent().zip(file.extension().and_then(|ending| ending.to_str()));
    folder.is_some_and(|(folder, ending)| has_file(folder, "", ending))
}

/// The number at the end of `img_emb_12.npy`.
fn number_of(file: &Path) -> Option<u64> {
    file.file_stem()?.to_str()?.rsplit_once('_')?.1.parse().ok()
}

/// Where clip-retrieval puts the file of another folder that belongs to `file`,
/// `FOLDER/img_emb/img_emb_0.npy`; `None` where that is none of its arrays.
fn sibling(file: &Path, folder: &str, ending: &str) -> Option<PathBuf> {
    let of = file.parent()?;
    let name = of.file_name()?.to_str()?;
    let rest = file.file_stem()?.to_str()?.strip_prefix(name)?;
    let ours = ARRAYS.contains(&name);
    ours.then(|| of.with_file_name(folder).join(format!("{folder}{rest}.{ending}")))
}

pub(super) fn companions(file: &Path) -> Vec<PathBuf> {
    let beside = ["npz", "npy"].map(|ending| file.with_extension(ending));
    let siblings = ARRAYS.map(|name| sibling(file, name, "npy"));
    let metadata = sibling(file, METADATA, "parquet");
    beside.into_iter().chain(siblings.into_iter().chain([metadata]).flatten()).collect()
}

/// Opens an npy file, with what describes its rows where there is such a file.
pub(super) fn open(file: &Path) -> Result<(ShardRows, Box<dyn OpenShard>), IoError> {
    let rows = StoredArray::rows_of_npy(file)?;
    let metadata = metadata_of(file);
    if let Some(metadata) = metadata.as_ref().filter(|m| !m.exists()) {
        return Err(ClipRetrieval.lost(metadata));
    }
    let Some(metadata) = metadata else {
        let ids = ShardRows { ids: RowIds::Numbered(rows), ..ShardRows::default() };
        return Ok((ids, reopen(file, rows)));
    };
    let there = Reader::open(&metadata)?.rows();
    if there != rows {
        let problem = format!("has {there} rows, but {} has {rows}", file.display());
        return Err(IoError::new(Kind::Disagree, &metadata, problem, "write both files again"));
    }
    Ok((read_rows(file, &metadata)?, reopen(file, rows)))
}

pub(super) fn reopen(file: &Path, rows: usize) -> Box<dyn OpenShard> {
    let file = file.to_owned();
    match metadata_of(&file) {
        Some(metadata) => Box::new(Described { file, metadata }),
        None => Box::new(Array { file, rows }),
    }
}

/// Where the description of an array's rows has to lie. One part without it, where others have theirs,
/// is a file that was lost.
fn metadata_of(file: &Path) -> Option<PathBuf> {
    sibling(file, METADATA, "parquet").filter(|metadata| has_parts(metadata))
}

fn read_rows(file: &Path, metadata: &Path) -> Result<ShardRows, IoError> {
    let reader = Reader::open(metadata)?;
    let mut names = Names::of(file);
    let id = if reader.has("uid") { Some("uid") } else { reader.name_column(&KEYS)? };
    match id {
        Some("uid") => reader.each_uid("uid", |value| names.add("uid", value))?,
        Some(id) => reader.each_name(id, |value| names.add(id, value))?,
        None => {}
    }
    if let Some(caption) = CAPTIONS.iter().find(|name| reader.has(name)) {
        parquet_rows::captions(&reader, caption, &mut names)?;
    }
    let found = names.finish();
    if id.is_some() {
        return Ok(found);
    }
    Ok(ShardRows { ids: RowIds::Numbered(reader.numbered_rows()?), ..found })
}

fn embeddings(file: &Path) -> Result<Vec<(String, Place)>, IoError> {
    if sibling(file, METADATA, "parquet").is_none() {
        return places_beside(file);
    }
    let arrays = ARRAYS.iter().filter_map(|name| Some((name, sibling(file, name, "npy")?)));
    // Those of which other parts are there: to open a lost part is an error that names it.
    let there = arrays.filter(|(_, array)| has_parts(array));
    Ok(there.map(|(name, array)| ((*name).to_owned(), Place::npy(array))).collect())
}

/// An array of which nothing else is known.
struct Array {
    file: PathBuf,
    rows: usize,
}

impl OpenShard for Array {
    fn path(&self) -> &Path {
        &self.file
    }

    fn numeric_columns(&self) -> Result<Option<Vec<String>>, IoError> {
        Ok(Some(Vec::new()))
    }

    fn column(&self, _: &str) -> Result<Numbers, IoError> {
        Ok(Numbers::Missing)
    }

    fn each_label(&self, _: &str, each: &mut dyn FnMut(Option<&str>)) -> Result<(), IoError> {
        (0..self.rows).for_each(|_| each(None));
        Ok(())
    }

    fn samples(&self, rows: &[usize], _: Detail) -> Result<Vec<Sample>, IoError> {
        Ok(vec![Sample::default(); rows.len()])
    }

    fn embeddings(&self) -> Result<Vec<(String, Place)>, IoError> {
        embeddings(&self.file)
    }
}

/// An array whose rows a Parquet file describes.
struct Described {
    file: PathBuf,
    metadata: PathBuf,
}

impl OpenShard for Described {
    fn path(&self) -> &Path {
        &self.metadata
    }

    fn numeric_columns(&self) -> Result<Option<Vec<String>>, IoError> {
        parquet_rows::numeric_columns(&self.metadata)
    }

    fn column(&self, name: &str) -> Result<Numbers, IoError> {
        parquet_rows::column(&self.metadata, name)
    }

    fn each_label(&self, field: &str, each: &mut dyn FnMut(Option<&str>)) -> Result<(), IoError> {
        parquet_rows::each_label(&self.metadata, field, each)
    }

    fn samples(&self, rows: &[usize], _: Detail) -> Result<Vec<Sample>, IoError> {
        let mut samples = parquet_rows::samples(&self.metadata, rows)?;
        for sample in &mut samples {
            let caption = sample.fields.get(CAPTIONS[1]).cloned();
            sample.caption = sample.caption.take().or(caption);
        }
        Ok(samples)
    }

    fn embeddings(&self) -> Result<Vec<(String, Place)>, IoError> {
        embeddings(&self.file)
    }
}
