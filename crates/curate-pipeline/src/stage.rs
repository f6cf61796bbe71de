//! What a kind of stage has to say of itself: two traits, implemented in one file a kind.
//!
//! [`Settings`] is the stage as a recipe writes it, with what it leaves open. [`Method`] is the same
//! stage when nothing is open any more: it is carried out, put into words, priced, explained and
//! reported. Nothing else in this crate knows one kind from another.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use curate_cluster::{Clusters, KMeansParams};
use curate_core::{
    EmbeddingSource, Given, Progress, Rows, RowsError, SampleId, ScoreColumn, Selection,
    fault::NormPolicy, rank::Direction,
};
use curate_dedup::Found;
use curate_device::DeviceName;
use curate_io::Pool;
use curate_report::Section;

use crate::{
    Error,
    ahead::Ahead,
    concept::Concept,
    earlier::Earlier,
    error::StageError,
    page::Page,
    record::{Outcome, StageRecord},
    rows::StageRows,
};

pub(crate) use crate::problems::Problems;

/// A stage as a recipe writes it: the keys of its table.
pub(crate) trait Settings {
    /// The stage's name.
    fn name(&self) -> &str;

    /// Where it takes its rows from.
    fn sources(&self) -> Vec<Source<'_>>;

    /// What it reads beside its rows.
    fn reads(&self) -> Reads<'_> {
        Reads::default()
    }

    /// What later stages can ask of it, beside the rows that it leaves.
    fn gives(&self) -> Gives {
        Gives::Rows
    }

    /// Tells everything that is wrong with its values.
    fn check(&self, wrong: &mut Problems);

    /// Lets the relative paths that it names start at a folder.
    fn anchor(&mut self, _folder: &Path) {}

    /// Searches nearest centroids on another device; nothing to do for a stage that does not
    /// cluster.
    fn set_device(&mut self, _device: DeviceName) {}

    /// Fills in what the recipe left open, now that the number of rows is known. What it fills in is
    /// what `recipe.toml` in the run folder shows.
    fn complete(&mut self, _rows: usize) {}

    /// The completed stage, without open questions.
    ///
    /// # Errors
    /// The first thing that [`Self::check`] would tell.
    fn resolve(&self) -> Result<Box<dyn Method>, StageError>;
}

/// A stage without open questions.
pub(crate) trait Method {
    /// Judges the rows that it is given.
    fn execute(&self, context: &Context<'_>) -> Result<Outcome, StageError>;

    /// How it can be carried out in parts, each by another process; by default it is one task.
    fn work(&self) -> Work<'_> {
        Work::Whole
    }

    /// Its rule, for people: "keep …", without a full stop.
    fn in_words(&self) -> String;

    /// Rows that it leaves of so many, at most.
    fn leaves(&self, rows: usize) -> usize {
        rows
    }

    /// What judging a number of rows needs.
    fn cost(&self, _rows: usize, _pool: &Pool) -> Result<Cost, Error> {
        Ok(Cost::default())
    }

    /// What its number of a row says, and what the number was compared with.
    fn explain(&self, _value: Option<f64>, _threshold: Option<f64>) -> Option<String> {
        None
    }

    /// Which of two rows it prefers, where it removes the other.
    fn preferred(&self) -> Option<Preferred<'_>> {
        None
    }

    /// How its numbers can be cut again, without computing them again.
    fn numbers(&self) -> Option<Numbers> {
        None
    }

    /// The least or largest value of this score that it keeps, where it cuts this score.
    fn threshold_on(&self, _score: &str, _record: &StageRecord) -> Result<Option<f64>, Error> {
        Ok(None)
    }

    /// Its part of the report.
    fn report(&self, _page: &Page<'_>, _done: &Done<'_>) -> Result<Vec<Section>, Error> {
        Ok(vec![])
    }

    /// What became of each of its concepts, by number of the cluster; `None` for a stage without any.
    fn concepts(&self, _record: &StageRecord) -> Result<Option<Vec<Concept>>, Error> {
        Ok(None)
    }

    /// What a reader of the report should know before anything else.
    fn notes(&self, _record: &StageRecord) -> Result<Vec<String>, Error> {
        Ok(vec![])
    }
}

/// How a stage can be carried out in parts.
pub(crate) enum Work<'a> {
    /// By one process alone.
    Whole,
    /// Any of its rows without the others, and it tells nothing beside what it says of each row.
    RowByRow,
    /// Inside clusters.
    InClusters(InClusters<'a>),
}

/// A stage that works inside clusters.
pub(crate) struct InClusters<'a> {
    pub(crate) embedding: &'a str,
    pub(crate) norm: NormPolicy,
    /// Where the clusters come from.
    pub(crate) origin: Origin<'a>,
    /// What it does inside clusters that takes long.
    pub(crate) search: Option<&'a dyn ClusterSearch>,
}

/// Where clusters come from.
pub(crate) enum Origin<'a> {
    /// The stage makes them: as many as this, or one for each row where there are fewer.
    Fit(usize, Box<KMeansParams>),
    /// An earlier stage made them.
    Stage(&'a str),
}

/// A search inside clusters, of any of them without the others.
pub(crate) trait ClusterSearch {
    /// The rows that go before rows are clustered.
    fn copies(&self, rows: &Rows<'_>, context: &Context<'_>) -> Result<Selection, StageError>;

    /// Searches these clusters, whose rows are those given.
    fn search(
        &self,
        rows: &Rows<'_>,
        clusters: &Clusters,
        context: &Context<'_>,
    ) -> Result<Vec<Found>, StageError>;
}

/// Where a stage takes rows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source<'a> {
    /// The stage before; the pool for the first stage.
    Before,
    /// A stage by name, or the pool.
    Named(&'a str),
    /// A subset file. It removed nothing itself, so its rows are chosen among the whole pool's.
    File(&'a Path),
}

impl<'a> Source<'a> {
    /// The one source of a stage with the key `from`.
    pub(crate) fn from(name: Option<&'a str>) -> Vec<Self> {
        vec![name.map_or(Self::Before, Self::Named)]
    }

    /// The path, for a file.
    pub(crate) fn file(self) -> Option<&'a Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Before | Self::Named(_) => None,
        }
    }

    /// A name, or a path where there is a `.` or `/` in it.
    pub(crate) fn of(text: &'a str) -> Self {
        if text.contains(['.', '/']) { Self::File(Path::new(text)) } else { Self::Named(text) }
    }
}

/// What a stage reads beside its rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reads<'a> {
    /// Embeddings of the pool.
    pub(crate) embeddings: Vec<&'a str>,
    /// Columns of numbers of the pool.
    pub(crate) columns: Vec<&'a str>,
    /// Sets of rows, beside those that it is given.
    pub(crate) sets: Vec<Source<'a>>,
    /// Earlier stages that give a score.
    pub(crate) scores: Vec<&'a str>,
    /// Earlier stages that cluster.
    pub(crate) clusters: Vec<&'a str>,
    /// Files and folders, but for networks.
    pub(crate) files: Vec<&'a Path>,
    /// Folders of networks.
    pub(crate) networks: Vec<&'a Path>,
    /// Where it searches nearest centroids.
    pub(crate) device: Option<DeviceName>,
}

/// What later stages can ask of a stage, beside the rows that it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gives {
    /// Nothing.
    Rows,
    /// A number for each row that stays.
    Score,
    /// A cluster for each row that stays, and centroids.
    Clusters,
}

/// What a stage needs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Cost {
    /// Bytes that it reads, embeddings in single precision.
    pub(crate) reads: u64,
    /// Bytes of memory.
    pub(crate) memory: u64,
    /// Floating-point operations.
    pub(crate) operations: f64,
}

/// Which of two rows a stage prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preferred<'a> {
    /// The one with the higher score of this stage.
    Score(&'a str),
    /// The one of which this holds, as "is farther from the centroid".
    What(&'static str),
}

/// What a stage's numbers are, for a later cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Scores, of which this end is the good one.
    Scores(Direction),
    /// Largest similarities to a preferred row.
    Similarities,
}

impl Numbers {
    pub(crate) fn better(self) -> Direction {
        match self {
            Self::Scores(better) => better,
            Self::Similarities => Direction::LowerIsBetter,
        }
    }
}

/// A finished stage, where its report is written.
pub(crate) struct Done<'a> {
    pub(crate) record: &'a StageRecord,
    pub(crate) rows: &'a StageRows,
    /// The stages that cut its score: name and threshold.
    pub(crate) cuts: Vec<(&'a str, f64)>,
    /// What the stages after it leave of so many rows, at most; `None` where it is not the only one
    /// before them.
    pub(crate) in_the_end: Option<&'a dyn Fn(usize) -> usize>,
}

/// What a stage may look at while it is carried out.
pub(crate) struct Context<'a> {
    pub(crate) pool: &'a Pool,
    pub(crate) seed: u64,
    /// The rows it is given.
    pub(crate) input: &'a Selection,
    /// What the stages before it left.
    pub(crate) earlier: &'a Earlier,
    /// What tasks worked out of it already.
    pub(crate) ahead: &'a Ahead,
    pub(crate) progress: &'a dyn Progress,
}

impl Context<'_> {
    /// The ids of the given rows.
    pub(crate) fn ids(&self) -> Cow<'_, [SampleId]> {
        if self.input.len() == self.pool.len() {
            return Cow::Borrowed(self.pool.ids());
        }
        Cow::Owned(self.input.iter().map(|row| self.pool.ids()[row]).collect())
    }

    /// The given rows, with the vectors of an embedding.
    pub(crate) fn rows<'s>(
        &'s self,
        embedding: &'s dyn EmbeddingSource,
        name: &str,
        norm: NormPolicy,
    ) -> Result<Rows<'s>, StageError> {
        let given = Given { ids: Some(self.pool.ids()), rows: Some(self.input.clone()), norm };
        let rows = match &self.ahead.examined {
            Some(examined) => Rows::examined(embedding, given, examined.clone()),
            None => Rows::read(embedding, given, self.progress),
        };
        rows.map_err(|error| match error {
            RowsError::NotUnit { count, rows, median } => StageError::Problem(format!(
                "{count} of {rows} vectors of `{name}` do not have length 1 (median {median:.3}); set \
                 `norm = \"any\"` to scale them"
            )),
            other => other.into(),
        })
    }

    /// A score of every row of the pool; NaN for a row that the score stage was not given or set
    /// aside.
    pub(crate) fn score_of_pool(&self, name: &str) -> Result<ScoreColumn, StageError> {
        let given = self.score(name)?;
        Ok(given.gather((0..self.pool.len()).map(|row| self.input.position(row))))
    }

    /// A score of the given rows; NaN for a row that the score stage was not given or set aside.
    pub(crate) fn score(&self, name: &str) -> Result<ScoreColumn, StageError> {
        let Some(scored) = self.earlier.find(name) else {
            return Err(StageError::Problem(format!("no earlier score stage is named `{name}`")));
        };
        Ok(scored.values_of(self.input)?)
    }

    /// The rows of a source.
    pub(crate) fn set(&self, source: Source<'_>) -> Result<Cow<'_, Selection>, StageError> {
        match source {
            Source::Before => Ok(Cow::Borrowed(self.input)),
            Source::Named(name) => match self.earlier.set(name) {
                Some(set) => Ok(Cow::Borrowed(set)),
                None => Err(StageError::Problem(format!("no earlier stage is named `{name}`"))),
            },
            Source::File(file) => {
                let mut ids = curate_io::subset::read(file)?;
                ids.sort_unstable();
                let usable = self.earlier.pool().rows().iter().copied();
                let rows = usable.filter(|&row| ids.binary_search(&self.pool.ids()[row]).is_ok());
                Ok(Cow::Owned(Selection::from_unsorted(rows.collect())))
            }
        }
    }
}

/// A path that starts at a folder where it is relative, without `.` in it.
pub(crate) fn anchored(folder: &Path, path: &Path) -> PathBuf {
    folder.join(path).components().collect()
}

/// A share in percent, for people.
pub(crate) fn percent(share: f64) -> f64 {
    (share * 100_000.0).round() / 1_000.0
}

/// A number with up to so many digits after the point, without trailing zeros.
pub(crate) fn short(x: f64, digits: usize) -> String {
    let text = format!("{x:.digits$}");
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number of [`Method::explain`], for people.
pub(crate) fn told(x: Option<f64>) -> String {
    x.map_or("none".to_owned(), |x| short(x, 6))
}

/// For keys that are not written where they say what is said without them.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
