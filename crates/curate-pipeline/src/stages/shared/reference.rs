//! Rows that others are compared with: of another pool, of this one, or of a file.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use curate_cluster::{Metric, assign};
use curate_core::{
    EmbeddingSource, NoProgress, Progress,
    embedding::{RowsOf, UnitRows},
    fault::{self, NormPolicy},
};
use curate_io::{Embedding, IoError, Pool, PoolOptions, vectors::StoredArray};
use ndarray::ArrayView2;

use crate::{
    Error,
    error::StageError,
    rows::StageRows,
    stage::{Context, Source},
};

/// Rows of the reference that are held at once: 200 MiB of 768 numbers each.
pub(crate) const CHUNK: usize = 1 << 16;

/// Where the reference is.
pub(crate) enum Reference {
    /// Another pool.
    Pool(PathBuf),
    /// Rows of this pool: a stage, or a subset file.
    Rows(String),
    /// The rows of an npy file.
    Vectors(PathBuf),
}

impl Reference {
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Pool(path) | Self::Vectors(path) => file_name(path),
            Self::Rows(set) => match Source::of(set) {
                Source::File(path) => file_name(path),
                _ => set.clone(),
            },
        }
    }

    /// How many rows it has, at most, as far as that is known before a run.
    pub(crate) fn most_rows(&self, embedding: &str, pool: &Pool, dim: u64) -> Result<usize, Error> {
        match self {
            Self::Pool(path) => Ok(open_pool(path, embedding, &NoProgress)?.len()),
            Self::Rows(_) => Ok(pool.len()),
            Self::Vectors(path) => {
                let bytes = std::fs::metadata(path).map_or(0, |m| m.len());
                Ok((bytes / (4 * dim.max(1))) as usize)
            }
        }
    }

    /// Opens it, without the rows whose vectors cannot be used. `own` is this pool's embedding.
    pub(crate) fn open(
        &self,
        name: &str,
        own: &Embedding,
        context: &Context<'_>,
    ) -> Result<Opened, StageError> {
        let (source, rows, names) = match self {
            Self::Pool(path) => {
                let pool = open_pool(path, name, context.progress)?;
                let embedding = pool.embedding(name)?;
                (embedding, (0..pool.len()).collect(), Names::OtherPool(Box::new(pool)))
            }
            Self::Rows(set) => {
                let rows = context.set(Source::of(set))?.rows().to_vec();
                (own.clone(), rows, Names::ThisPool)
            }
            Self::Vectors(path) => {
                let embedding = Embedding::new(vec![StoredArray::open_npy(path)?])?;
                let rows = (0..embedding.rows()).collect();
                (embedding, rows, Names::File(file_name(path)))
            }
        };
        if source.dim() != own.dim() {
            let problem = format!(
                "the reference has {} dimensions, `{name}` has {}",
                source.dim(),
                own.dim()
            );
            return Err(StageError::Problem(problem));
        }
        Opened::new(source, rows, names, context.progress)
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn open_pool(path: &Path, embedding: &str, progress: &dyn Progress) -> Result<Pool, IoError> {
    Pool::open_with(path, PoolOptions::default(), &[embedding], progress)
}

/// What the rows of a reference are called.
enum Names {
    /// By their rows in this pool.
    ThisPool,
    /// By their ids.
    OtherPool(Box<Pool>),
    /// By the file and their numbers.
    File(String),
}

/// A reference that is there.
pub(crate) struct Opened {
    source: Embedding,
    /// Its usable rows, ascending.
    rows: Vec<usize>,
    faults: usize,
    names: Names,
}

impl Opened {
    fn new(
        source: Embedding,
        rows: Vec<usize>,
        names: Names,
        progress: &dyn Progress,
    ) -> Result<Self, StageError> {
        let bad = fault::check(&RowsOf::new(&source, &rows), NormPolicy::Any, progress)?;
        let (given, bad) = (rows.len(), bad.iter().map(|bad| bad.row).collect::<BTreeSet<_>>());
        let usable = rows.into_iter().enumerate().filter(|(at, _)| !bad.contains(at));
        let rows: Vec<usize> = usable.map(|(_, row)| row).collect();
        let faults = given - rows.len();
        Ok(Self { source, rows, faults, names })
    }

    /// Rows that others are compared with.
    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Rows whose vectors cannot be used.
    pub(crate) fn faults(&self) -> usize {
        self.faults
    }

    /// For each row of length 1 of `rows` its nearest row of the reference, as a place among
    /// [`Self::rows`], and their cosine. Of equally near ones the first; NaN where the reference has no
    /// row. Exact: a chunk of the reference is to the search what centroids are to k-means.
    pub(crate) fn nearest(
        &self,
        rows: &dyn EmbeddingSource,
        progress: &dyn Progress,
    ) -> Result<Vec<(usize, f32)>, StageError> {
        let mut nearest = vec![(0, f32::NAN); rows.rows()];
        for (chunk, members) in self.rows.chunks(CHUNK).enumerate() {
            let dim = self.source.dim();
            let mut vectors = vec![0.0; members.len() * dim];
            UnitRows(&self.source).gather(members, &mut vectors)?;
            let vectors = ArrayView2::from_shape((members.len(), dim), &vectors)
                .expect("a vector for each member");
            let found = assign(vectors, Metric::Spherical, rows, progress)?;
            let found = found.cluster().iter().zip(found.nearness());
            for (best, (&place, &similarity)) in nearest.iter_mut().zip(found) {
                if best.1.is_nan() || similarity > best.1 {
                    *best = (chunk * CHUNK + place as usize, similarity);
                }
            }
        }
        Ok(nearest)
    }

    /// Names the nearest row of the reference for each position that was compared.
    pub(crate) fn name_causes(
        &self,
        good: &[usize],
        nearest: &[(usize, f32)],
        rows: &mut StageRows,
    ) {
        if self.rows.is_empty() {
            return;
        }
        let (mut related, mut reference) =
            (vec![None; rows.rows.len()], vec![None; rows.rows.len()]);
        for (&position, &(place, _)) in good.iter().zip(nearest) {
            let row = self.rows[place];
            match &self.names {
                Names::ThisPool => related[position] = Some(row),
                Names::OtherPool(pool) => reference[position] = Some(pool.ids()[row].to_string()),
                Names::File(name) => reference[position] = Some(format!("{name}#{row}")),
            }
        }
        match self.names {
            Names::ThisPool => rows.related = related,
            _ => rows.reference = reference,
        }
    }
}
