//! Pools on disk.

use std::{collections::BTreeMap, path::PathBuf};

use curate::{
    core::{SampleId, ScoreColumn},
    io::{
        Format, IoError, Kind, Pool, PoolOptions, Sample,
        ids::id_of_key,
        pool::{BadShards, IdsFrom},
        reshard::{Part, ReshardOptions, Shuffle, reshard as reshard_pool},
        stamp::Check,
        subset::{self, SubsetFormat},
    },
    pipeline::inspect::{Look, inspect as inspect_pool},
};
use numpy::PyArray1;
use pyo3::{prelude::*, types::PyBytes};

use crate::{
    embedding::PoolEmbedding,
    errors::Failure,
    input::{
        ids::Ids,
        numbers,
        words::{word, word_if},
    },
    json, subset as subsets,
    table::{Table, texts, wholes},
    watch::{released, watched},
};

/// A pool of samples on disk: DataComp, WebDataset, clip-retrieval, Parquet, JSON lines, npy, HDF5.
///
/// Parameters
/// ----------
/// path : path, pattern or URL
///     A folder, a file, or a pattern such as `shards/{00000..00099}.tar`.
/// format : str, optional
///     The layout; the files tell unless given.
/// bad_shards : "error" (default) or "skip"
/// ids : "key" or "shard-and-key", optional
///     What ids are made from where samples have keys and no uid.
/// progress : bool or callable, optional
#[pyclass(frozen, module = "curate", name = "Pool")]
pub(crate) struct PyPool {
    pub(crate) pool: Pool,
}

/// The options of a pool from Python's words.
pub(crate) fn options(
    format: Option<&str>,
    bad_shards: &str,
    ids: Option<&str>,
) -> Result<PoolOptions, Failure> {
    Ok(PoolOptions {
        format: word_if::<Format>("format", format)?,
        bad_shards: word::<BadShards>("bad_shards", bad_shards)?,
        ids: word_if::<IdsFrom>("ids", ids)?,
    })
}

#[pymethods]
impl PyPool {
    #[new]
    #[pyo3(signature = (path, *, format = None, bad_shards = "error", ids = None, progress = None))]
    fn new(
        py: Python<'_>,
        path: PathBuf,
        format: Option<&str>,
        bad_shards: &str,
        ids: Option<&str>,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> Result<Self, Failure> {
        let options = options(format, bad_shards, ids)?;
        let open =
            |progress: &dyn curate::core::Progress| Ok(Pool::open(&path, options, progress)?);
        Ok(Self { pool: watched(py, progress, open)? })
    }

    /// The path that was opened.
    #[getter]
    fn path(&self) -> PathBuf {
        self.pool.path().to_owned()
    }

    /// The layout.
    #[getter]
    fn format<'py>(&self, py: Python<'py>) -> Result<Bound<'py, PyAny>, Failure> {
        json::to_python(py, &self.pool.format())
    }

    /// The id of each row: an array of pairs `u8,u8`, the high and the low half, as DataComp's subset
    /// files have them. `curate.id_texts` writes them out.
    #[getter]
    fn ids<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        subsets::pairs(py, self.pool.ids().iter().copied())
    }

    /// The row of an id (32 hexadecimal digits) or a key; `None` when there is none.
    fn row_of(&self, id: &str) -> Option<usize> {
        let by_id = id.parse::<SampleId>().ok().and_then(|id| self.pool.row_of(id));
        by_id.or_else(|| self.pool.row_of(id_of_key(id)))
    }

    /// The names of the embeddings that every shard has.
    #[getter]
    fn embedding_names(&self) -> Result<Vec<String>, Failure> {
        Ok(self.pool.embedding_names()?)
    }

    /// An embedding: one vector for each row.
    fn embedding(slf: Bound<'_, Self>, name: String) -> Result<PoolEmbedding, Failure> {
        let (py, this) = (slf.py(), slf.unbind());
        Ok(PoolEmbedding { vectors: released(py, move || Ok(this.get().pool.embedding(&name)?))? })
    }

    /// The names of the columns of numbers.
    #[getter]
    fn column_names(&self) -> Result<Vec<String>, Failure> {
        Ok(self.pool.numeric_columns()?)
    }

    /// A column of numbers, one for each row: float32 where every shard has it so, else float64; NaN where
    /// there is none.
    fn column<'py>(slf: Bound<'py, Self>, name: String) -> Result<Bound<'py, PyAny>, Failure> {
        let (py, this) = (slf.py(), slf.unbind());
        Ok(match released(py, move || Ok(this.get().pool.column(&name)?))? {
            ScoreColumn::Half(numbers) | ScoreColumn::Single(numbers) => {
                PyArray1::from_vec(py, numbers).into_any()
            }
            ScoreColumn::Double(numbers) => PyArray1::from_vec(py, numbers).into_any(),
        })
    }

    /// Samples by row number, with their images where `images` is true.
    #[pyo3(signature = (rows, *, images = false))]
    fn samples(
        slf: Bound<'_, Self>,
        rows: &Bound<'_, PyAny>,
        images: bool,
    ) -> Result<Vec<PySample>, Failure> {
        let rows = numbers::rows("rows", Some(rows), slf.get().pool.len())?.unwrap_or_default();
        let (py, this) = (slf.py(), slf.unbind());
        let samples = released(py, move || {
            let pool = &this.get().pool;
            Ok(match images {
                true => pool.samples_with_images(rows.rows()),
                false => pool.samples(rows.rows()),
            }?)
        })?;
        Ok(samples.into_iter().map(|sample| PySample { sample }).collect())
    }

    /// Rows that cannot be used: a table with the columns `row` and `fault`.
    #[getter]
    fn faults(&self) -> Result<Table, Failure> {
        let faults = self.pool.faults();
        Table::new(vec![
            ("row", wholes(faults.iter().map(|&(row, _)| Some(row as u64)))),
            ("fault", texts(faults.iter().map(|(_, fault)| fault.name().to_owned()))),
        ])
    }

    /// What a person should know of files whose rows can be used all the same.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.pool.notes().to_vec()
    }

    /// Shards that were left out: (name, reason).
    #[getter]
    fn skipped(&self) -> Vec<(String, String)> {
        let skipped = self.pool.skipped().iter();
        skipped.map(|shard| (shard.name.clone(), shard.reason.clone())).collect()
    }

    fn __len__(&self) -> usize {
        self.pool.len()
    }

    fn __repr__(&self) -> String {
        let (rows, path) = (self.pool.len(), self.pool.path().display());
        format!("<curate.Pool {path}: {rows} rows in {} shards>", self.pool.shards().len())
    }
}

/// A sample of a pool.
#[pyclass(frozen, module = "curate", name = "Sample")]
pub(crate) struct PySample {
    sample: Sample,
}

#[pymethods]
impl PySample {
    /// 32 hexadecimal digits.
    #[getter]
    fn id(&self) -> String {
        self.sample.id.to_string()
    }

    /// Its key in a WebDataset shard.
    #[getter]
    fn key(&self) -> Option<&str> {
        self.sample.key.as_deref()
    }

    /// The shard that holds it.
    #[getter]
    fn shard(&self) -> &str {
        &self.sample.shard
    }

    /// Its caption.
    #[getter]
    fn caption(&self) -> Option<&str> {
        self.sample.caption.as_deref()
    }

    /// The bytes of its image file, where images were asked for.
    #[getter]
    fn image<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.sample.image.as_ref().map(|image| PyBytes::new(py, image))
    }

    /// What else is known of it, by name.
    #[getter]
    fn fields(&self) -> BTreeMap<String, String> {
        self.sample.fields.clone()
    }

    fn __repr__(&self) -> String {
        format!("<curate.Sample {}: {:?}>", self.sample.id, self.caption().unwrap_or_default())
    }
}

/// What a pool contains, as `curate inspect --json` tells it.
#[pyfunction]
#[pyo3(signature = (path, *, format = None, bad_shards = "error", ids = None, progress = None))]
pub(crate) fn inspect<'py>(
    py: Python<'py>,
    path: PathBuf,
    format: Option<&str>,
    bad_shards: &str,
    ids: Option<&str>,
    progress: Option<&Bound<'py, PyAny>>,
) -> Result<Bound<'py, PyAny>, Failure> {
    let options = options(format, bad_shards, ids)?;
    let found = watched(py, progress, |progress| {
        Ok(inspect_pool(&path, options, Look::default(), progress)?)
    })?;
    json::to_python(py, &found)
}

/// Copies the samples of a selection from WebDataset shards into new ones, as DataComp's resharder does.
/// A call that stopped goes on when it is repeated.
///
/// Parameters
/// ----------
/// pool : path, pattern or URL of tar files
/// subset : path of a subset file, or ids in any form
/// out : folder to write to
/// samples_per_shard : int
/// shuffle_buffer : int, optional
///     Mixes the samples with a buffer of so many.
/// seed : int
///     Of the shuffle.
/// bad_shards : "error" (default) or "skip"
/// ids : "key" or "shard-and-key", optional
/// verify : bool
///     Reads shards that an earlier call wrote whole before they count.
/// overwrite : bool
/// part : (index, tasks), optional
///     Does the part of one of several tasks that share the folders, numbered from 0. One that needs what others
///     have not read yet raises `FileError`: call it again. A call without it completes the folder.
/// progress : bool or callable, optional
///
/// Returns
/// -------
/// dict
///     Counts, as `curate reshard --json` tells them.
#[pyfunction]
#[pyo3(signature = (pool, subset, out, *, samples_per_shard = 10_000, shuffle_buffer = None,
    seed = 0, bad_shards = "error", ids = None, verify = false, overwrite = false, part = None,
    progress = None))]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn reshard<'py>(
    py: Python<'py>,
    pool: PathBuf,
    subset: &Bound<'py, PyAny>,
    out: PathBuf,
    samples_per_shard: usize,
    shuffle_buffer: Option<usize>,
    seed: u64,
    bad_shards: &str,
    ids: Option<&str>,
    verify: bool,
    overwrite: bool,
    part: Option<(usize, usize)>,
    progress: Option<&Bound<'py, PyAny>>,
) -> Result<Bound<'py, PyAny>, Failure> {
    let PoolOptions { bad_shards, ids, .. } = options(None, bad_shards, ids)?;
    let check = if verify { Check::Whole } else { Check::Sample };
    let shuffle = shuffle_buffer.map(|buffer| Shuffle { buffer, seed });
    let part = part.map(|(index, tasks)| Part { index, tasks });
    let options =
        ReshardOptions { samples_per_shard, shuffle, bad_shards, ids, check, part, overwrite };
    let chosen = Chosen::of(subset)?;
    let found = watched(py, progress, |progress| {
        Ok(reshard_pool(&pool, &chosen.path, &out, options, progress)?)
    })?;
    json::to_python(py, &found)
}

/// A subset file: somebody's, or one for ids that were given as such, which is there until this goes.
struct Chosen {
    path: PathBuf,
    _folder: Option<tempfile::TempDir>,
}

impl Chosen {
    fn of(subset: &Bound<'_, PyAny>) -> Result<Self, Failure> {
        if let Ok(path) = subset.extract::<PathBuf>() {
            return Ok(Self { path, _folder: None });
        }
        let ids = Ids::read("subset", subset)?.ids;
        let folder = tempfile::tempdir().map_err(|error| {
            let (place, remedy) = (std::env::temp_dir(), "name a folder in TMPDIR");
            IoError::new(Kind::Os, place, error.to_string(), remedy)
        })?;
        let path = folder.path().join("subset.npy");
        subset::write(&path, SubsetFormat::Npy, &ids)?;
        Ok(Self { path, _folder: Some(folder) })
    }
}
