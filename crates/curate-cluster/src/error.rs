//! What can be wrong with what a clustering is given.

use curate_kernels::EngineError;

/// Clustering failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A parameter is out of range.
    #[error(transparent)]
    Params(#[from] curate_core::ParamsError),
    /// There are fewer rows than clusters.
    #[error(
        "{clusters} clusters need at least as many rows, but there are {rows}: ask for fewer clusters"
    )]
    TooFewRows {
        /// Clusters asked for.
        clusters: usize,
        /// Rows there are.
        rows: usize,
    },
    /// The number of ids is not the number of rows.
    #[error("{ids} ids for {rows} rows: give one id for each row")]
    IdsMismatch {
        /// Ids given.
        ids: usize,
        /// Rows there are.
        rows: usize,
    },
    /// A clustering assigns another number of rows.
    #[error("the clustering assigns {assigned} rows, but {rows} were named: name the same rows")]
    RowsMismatch {
        /// Rows that it assigns.
        assigned: usize,
        /// Rows that were named.
        rows: usize,
    },
    /// A row was asked for that is in no cluster.
    #[error("row {row} is in no cluster: assign it first, or leave it out")]
    NotClustered {
        /// The first such row.
        row: usize,
    },
    /// Centroids and rows differ in length.
    #[error(
        "centroids have {centroids} dimensions, the rows {rows}: use centroids of the same embedding"
    )]
    DimMismatch {
        /// Dimensions of the centroids.
        centroids: usize,
        /// Dimensions of the rows.
        rows: usize,
    },
    /// A k-means that is not trained in parts was asked to be.
    #[error(
        "k-means by Euclidean distance, in mini-batches or on a sample of the rows is not trained in \
         parts: train it at once, then assign in parts"
    )]
    NotInParts,
    /// The rows have no numbers.
    #[error("the {rows} rows have no dimensions: give an embedding of at least one")]
    NoDimensions {
        /// Rows there are.
        rows: usize,
    },
    /// There is no centroid to assign rows to.
    #[error("no centroid for {rows} rows: give at least one")]
    NoCentroids {
        /// Rows there are.
        rows: usize,
    },
    /// The centroids to start from are not as many as the clusters.
    #[error("{centroids} start centroids for {clusters} clusters: give one for each cluster")]
    StartMismatch {
        /// Centroids given.
        centroids: usize,
        /// Clusters asked for.
        clusters: usize,
    },
    /// A centroid has a NaN or an infinity.
    #[error("centroid {centroid} holds a NaN or an infinity: give finite centroids")]
    CentroidNotFinite {
        /// The first such centroid.
        centroid: usize,
    },
    /// A centroid has a length other than 1, and the metric is spherical.
    #[error(
        "centroid {centroid} has length {}, and spherical distances need length 1: scale it \
         (`curate_core::embedding::normalize`), or use the metric Euclidean",
        *norm as f32
    )]
    CentroidNotUnit {
        /// The first such centroid.
        centroid: usize,
        /// Its length.
        norm: f64,
    },
    /// A row has a NaN or an infinity; quarantine such rows first (`curate_core::fault::check`).
    #[error("row {row} holds a NaN or an infinity: quarantine such rows before clustering")]
    NotFinite {
        /// The first such row.
        row: usize,
    },
    /// A row has a length other than 1 (or 0), and the metric is spherical.
    #[error(
        "row {row} has length {}, and spherical clustering needs length 1: scale the rows \
         (`curate_core::embedding::UnitRows`), or use the metric Euclidean",
        *norm as f32
    )]
    NotUnit {
        /// The first such row.
        row: usize,
        /// Its length.
        norm: f64,
    },
    /// A row is assigned to a cluster that is not there.
    #[error("row {row} is in cluster {cluster} of {clusters}: give clusters below their number")]
    NoSuchCluster {
        /// The first such row.
        row: usize,
        /// Its cluster.
        cluster: u32,
        /// Clusters there are.
        clusters: usize,
    },
    /// A list that has one entry a row has another length.
    #[error("{given} entries of `{argument}` for {rows} rows: give one for each row")]
    LengthMismatch {
        /// The list.
        argument: &'static str,
        /// Its entries.
        given: usize,
        /// Rows there are.
        rows: usize,
    },
    /// A row is not there, or was named before.
    #[error("cluster {cluster} names row {row} of {rows} {problem}: name every row at most once")]
    WrongRow {
        /// The cluster.
        cluster: usize,
        /// The row.
        row: usize,
        /// Rows there are.
        rows: usize,
        /// `again`, or that it is not there.
        problem: &'static str,
    },
    /// A hierarchy has no such level.
    #[error("there is no level {level} among {levels}: the finest is 0")]
    NoSuchLevel {
        /// The level asked for.
        level: usize,
        /// Levels there are.
        levels: usize,
    },
    /// Vectors are not as many numbers as they should be.
    #[error(
        "{numbers} numbers for {rows} vectors of length {dim}: give whole vectors, one after the other"
    )]
    VectorsMismatch {
        /// Numbers given.
        numbers: usize,
        /// Vectors there should be.
        rows: usize,
        /// The length of a vector.
        dim: usize,
    },
    /// A row holds a number that sums were not made for.
    #[error(
        "row {row} holds a number above {limit}, or one that is not finite: make the sums with \
         `of_rows_up_to` for the largest number of all parts"
    )]
    BeyondScale {
        /// The first such row.
        row: usize,
        /// The largest number that can be added.
        limit: f32,
    },
    /// Sums cannot be made for such numbers.
    #[error("the largest number of the rows is {largest}: give a finite one that is not negative")]
    NoScale {
        /// The largest number given.
        largest: f32,
    },
    /// More rows were to be taken off a cluster than it has.
    #[error("cluster {cluster} has fewer rows than are taken off it: subtract only what was added")]
    TooFewToSubtract {
        /// The cluster.
        cluster: u32,
    },
    /// Sums of two parts do not fit each other.
    #[error(
        "parts of {own} and {other} {what} cannot be merged: make them with `empty` of one another"
    )]
    SumsMismatch {
        /// `clusters`, `dimensions`, or `scale` (the exponent of the steps).
        what: &'static str,
        /// Those of the sums that were to grow.
        own: i128,
        /// Those of the other part.
        other: i128,
    },
    /// The engine that was to search failed.
    #[error("the device failed: {0}: use the native kernels, or another device")]
    Engine(EngineError),
    /// The rows could not be read.
    #[error(transparent)]
    Source(#[from] curate_core::SourceError),
}

impl ClusterError {
    /// The same error of some rows of a source, in words of the source: `rows` names them.
    pub(crate) fn at(self, rows: &[usize]) -> Self {
        match self {
            Self::NotFinite { row } => Self::NotFinite { row: rows[row] },
            Self::NotUnit { row, norm } => Self::NotUnit { row: rows[row], norm },
            other => other,
        }
    }
}

impl ClusterError {
    /// True when the caller asked the work to stop.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Source(error) if error.is_cancelled())
    }
}
