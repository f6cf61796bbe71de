//! What the rules read of some rows: ids, captions, columns of numbers, vectors of images.

use std::path::{Path, PathBuf};

use curate_core::{EmbeddingSource, Progress, SampleId};
use curate_io::{
    IoError, Kind, datacomp,
    table::{Precision, Reader},
};

use crate::{Arch, BaselineError};

/// Some rows with metadata, wherever they lie. A [`Baseline`](crate::Baseline) asks for what its rule
/// reads; every column has to have all rows, in one order.
pub trait MetadataRows: Sync {
    /// The number of rows.
    fn len(&self) -> usize;

    /// True when there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Hands every row's id to `each`, in order.
    ///
    /// # Errors
    /// When there are no ids, one is malformed, or they cannot be read.
    fn each_id(&self, each: &mut dyn FnMut(SampleId)) -> Result<(), IoError>;

    /// Hands every row's caption to `each`, in order; `None` for a row without one.
    ///
    /// # Errors
    /// When there are no captions, or they cannot be read.
    fn each_caption(&self, each: &mut dyn FnMut(Option<&str>)) -> Result<(), IoError>;

    /// Hands the rows' numbers of a column to `each`, in order, block by block, a gap as NaN.
    ///
    /// # Errors
    /// When there is no such column, it holds no numbers, or it cannot be read.
    fn each_block(&self, column: &str, each: &mut dyn FnMut(&[f64])) -> Result<(), IoError>;

    /// The precision of a column, in which thresholds are compared with it.
    ///
    /// # Errors
    /// When the rows cannot be read.
    fn precision(&self, column: &str) -> Result<Precision, IoError>;

    /// The embedding `name` of these rows.
    ///
    /// # Errors
    /// When there is none, or it has other rows.
    fn features(&self, name: &str) -> Result<Box<dyn EmbeddingSource + '_>, IoError>;

    /// The file to name when something is wrong with the rows.
    fn path(&self) -> &Path;
}

/// The rows of a metadata shard, `NAME.parquet` beside `NAME.npz`.
pub struct MetadataShard {
    path: PathBuf,
    rows: usize,
}

impl MetadataShard {
    /// Opens a shard by its Parquet file.
    ///
    /// # Errors
    /// When it is not a Parquet file.
    pub fn open(path: &Path) -> Result<Self, IoError> {
        Ok(Self { rows: Reader::open(path)?.rows(), path: path.to_owned() })
    }

    /// Hands every row's number and id to `each`, in order.
    ///
    /// # Errors
    /// When there are no ids, one is malformed, or they cannot be read.
    pub(crate) fn each_row_id(&self, mut each: impl FnMut(usize, SampleId)) -> Result<(), IoError> {
        let mut row = 0;
        let mut bad = None;
        Reader::open(&self.path)?.each_uid("uid", |text| {
            let text = text.unwrap_or_default();
            match text.parse() {
                Ok(id) => each(row, id),
                Err(_) if bad.is_some() => {}
                Err(_) => bad = Some((row, text.chars().take(64).collect::<String>())),
            }
            row += 1;
        })?;
        let Some((row, text)) = bad else { return Ok(()) };
        let problem = format!("row {row}: uid `{text}` is not a hexadecimal id");
        Err(IoError::malformed(&self.path, problem))
    }
}

/// A column that is not there cannot be named otherwise: the rule reads this one.
fn without(mut error: IoError, column: &str) -> IoError {
    if error.kind == Kind::NotFound && error.path.exists() {
        let there = |arch: &Arch| {
            error.problem.contains(&format!("`{}`,", arch.score_column()))
                || error.problem.ends_with(&format!("`{}`", arch.score_column()))
        };
        let other = [Arch::B32, Arch::L14].into_iter().find(there);
        let is_score = column.ends_with("_similarity_score");
        error.remedy = match other.filter(|_| is_score) {
            Some(other) => format!("add that column, or let the rule read the score of {other}"),
            None => "add that column: the rule reads it".to_owned(),
        };
    }
    error
}

impl MetadataRows for MetadataShard {
    fn len(&self) -> usize {
        self.rows
    }

    fn each_id(&self, each: &mut dyn FnMut(SampleId)) -> Result<(), IoError> {
        self.each_row_id(|_, id| each(id))
    }

    fn each_caption(&self, each: &mut dyn FnMut(Option<&str>)) -> Result<(), IoError> {
        Reader::open(&self.path)?.each_text("text", None, each)
    }

    fn each_block(&self, column: &str, each: &mut dyn FnMut(&[f64])) -> Result<(), IoError> {
        Reader::open(&self.path)?.each_f64(column, each).map_err(|e| without(e, column))
    }

    fn precision(&self, column: &str) -> Result<Precision, IoError> {
        Ok(Reader::open(&self.path)?.precision(column))
    }

    fn features(&self, name: &str) -> Result<Box<dyn EmbeddingSource + '_>, IoError> {
        Ok(Box::new(datacomp::embedding(&self.path, name, self.rows)?))
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

/// A look at a part that counts as progress, and is not taken once the caller asks to stop.
pub(crate) fn watched<R: MetadataRows, T, E: From<IoError>>(
    progress: &dyn Progress,
    look: impl Fn(&R) -> Result<T, E> + Sync + Send,
) -> impl Fn(&R) -> Result<T, E> + Sync + Send {
    move |part| {
        if progress.is_cancelled() {
            return Err(IoError::cancelled(part.path()).into());
        }
        let found = look(part);
        progress.advance(1);
        found
    }
}

/// An error unless a column handed out every row.
pub(crate) fn has_all(
    rows: &dyn MetadataRows,
    what: &'static str,
    found: usize,
) -> Result<(), BaselineError> {
    if found == rows.len() {
        return Ok(());
    }
    let file = rows.path().display().to_string();
    Err(BaselineError::RowsMismatch { file, what, found, expected: rows.len() })
}

/// The ids of all rows.
pub(crate) fn ids_of(rows: &dyn MetadataRows) -> Result<Vec<SampleId>, BaselineError> {
    let mut ids = Vec::with_capacity(rows.len().min(1 << 24));
    rows.each_id(&mut |id| ids.push(id))?;
    has_all(rows, "ids", ids.len())?;
    Ok(ids)
}

/// A column of numbers, widened without loss, a gap as NaN.
pub(crate) fn numbers(rows: &dyn MetadataRows, column: &str) -> Result<Vec<f64>, BaselineError> {
    let mut values = Vec::with_capacity(rows.len().min(1 << 24));
    rows.each_block(column, &mut |block| values.extend_from_slice(block))?;
    has_all(rows, "numbers", values.len())?;
    Ok(values)
}

/// A threshold as numpy compares it with the column: in half precision for halves, in single for singles.
pub(crate) fn own_threshold(
    rows: &dyn MetadataRows,
    column: &str,
    threshold: f64,
) -> Result<f64, IoError> {
    Ok(rows.precision(column)?.nearest(threshold))
}
