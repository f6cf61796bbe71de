//! How a stage can be carried out in parts.

use curate_cluster::{Clusters, KMeansParams};
use curate_core::{Rows, Selection, fault::NormPolicy};
use curate_dedup::Found;

use crate::{error::StageError, stage::Context};

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
