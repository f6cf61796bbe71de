//! What tasks worked out of a stage before it is put together.

use curate_cluster::Clusters;
use curate_core::Examined;
use curate_dedup::Found;

use crate::rows::StageRows;

/// Results of tasks that had a part of a stage each. A stage does what is not here itself; nothing is in
/// a run of one process. The answer is the same.
#[derive(Default)]
pub(crate) struct Ahead {
    /// All that the stage says of its rows, where these do not depend on each other.
    pub(crate) rows: Option<StageRows>,
    /// What a look at the vectors found.
    pub(crate) examined: Option<Examined>,
    /// The clusters.
    pub(crate) clusters: Option<Clusters>,
    /// What a search inside clusters found.
    pub(crate) found: Option<Vec<Found>>,
}
