//! How the centroids start.

use curate_core::{EmbeddingSource, Progress, SampleId};

use crate::{
    ClusterError, Init, KMeans,
    facts::Facts,
    init::{self, Start},
    levels,
    task::task,
};

/// As [`KMeans`] asks for it.
pub(crate) fn start<S: EmbeddingSource + ?Sized>(
    kmeans: &KMeans,
    source: &S,
    facts: &Facts,
    ids: &[SampleId],
    progress: &dyn Progress,
) -> Result<Start, ClusterError> {
    match kmeans.init() {
        Init::Random => init::random(kmeans, source, ids).map(Start::from),
        Init::PlusPlus => {
            let rows = kmeans.clusters().saturating_sub(1) * source.rows();
            let plus_plus = || init::plus_plus(kmeans, source, facts, ids, progress);
            task(progress, "k-means++", rows, plus_plus).map(Start::from)
        }
        Init::Levels => levels::start(kmeans, source, ids, progress),
    }
}
