//! The front door: quarantine, exact copies, clusters, order, search and probes in one call.

use curate_cluster::{Assignment, ClusterError, Clusters, Engine, Ordered};
use curate_core::{
    EmbeddingSource, Progress, Rows, SampleId, ScoreColumn, Selection, random,
    rank::{Direction, better_first},
};

use crate::{
    DedupError, Duplicates, ExactCopies, ExactDuplicates, Found, Matches, SemanticDedup,
    params::suggested_clusters,
    probe::{self, Probing},
    result::Copy,
};

/// What a search can be given beside the rows.
#[derive(Clone, Copy, Default)]
pub struct Inputs<'a> {
    /// Clusters that are there already: the rows are not clustered again. Every usable row has to be in
    /// one.
    pub clusters: Option<&'a Clusters>,
    /// A score for each row of the source; of two duplicates the one with the higher score stays,
    /// whatever the preference says. Rows without a score (NaN) come last.
    pub scores: Option<&'a ScoreColumn>,
    /// What searches inside these clusters found already ([`Duplicates::found`]), perhaps by several
    /// processes that each had some of the clusters: they are not searched again. Counts only with
    /// `clusters`, and has to tell of every row that is compared.
    pub found: Option<&'a [Found]>,
    /// Where nearest centroids are searched; the native kernels if left out.
    pub engine: Option<&'a dyn Engine>,
}

impl SemanticDedup {
    /// Finds every usable row's most similar preferred row. The answer is in rows of the source that
    /// `rows` was made of.
    ///
    /// # Errors
    /// When vectors cannot be read, or the caller cancels.
    pub fn run(&self, rows: &Rows<'_>, progress: &dyn Progress) -> Result<Duplicates, DedupError> {
        self.run_with(rows, Inputs::default(), progress)
    }

    /// [`Self::run`] with clusters, scores or an engine of one's own.
    ///
    /// # Errors
    /// As [`Self::run`], and when a row is in no cluster, there is not one score for each row of the
    /// source, or the engine fails.
    pub fn run_with(
        &self,
        rows: &Rows<'_>,
        inputs: Inputs<'_>,
        progress: &dyn Progress,
    ) -> Result<Duplicates, DedupError> {
        if let Some(scores) = inputs.scores.filter(|scores| scores.len() != rows.source_rows()) {
            let (given, rows) = (scores.len(), rows.source_rows());
            return Err(DedupError::Mismatch { what: "scores", given, rows });
        }
        let copies = self.copies(rows, inputs.scores, progress)?;
        let copied: Selection = copies.iter().map(|copy| copy.row).collect();
        let distinct = rows.only(&rows.usable().minus(&copied))?;
        let clusters = self.clusters(rows, &distinct, inputs, progress)?;
        let ids = distinct.usable_ids();
        let preferred = Preferred { method: self, clusters: &clusters, ids: &ids, inputs };
        let order = preferred.in_clusters()?;
        let vectors = distinct.unit();
        let mut matches = match inputs.found {
            Some(found) => Matches::of_rows(distinct.usable(), found)?,
            None => Matches::find(&vectors, &order, self.0.mode, progress)?,
        };
        let probing = match self.0.probes {
            0 => None,
            _ => Some(self.probe(&vectors, &preferred, &order, &mut matches, progress)?),
        };
        Ok(Duplicates::new(self.0.mode, rows, copies, clusters, ids, matches, probing))
    }

    /// The rows that are copies of another to the bit and go before rows are clustered; none where copies
    /// are left to the search. Of copies the row with the highest of `scores` stays, else the one with the
    /// smallest id.
    ///
    /// # Errors
    /// When vectors cannot be read, or the caller cancels.
    pub fn copies(
        &self,
        rows: &Rows<'_>,
        scores: Option<&ScoreColumn>,
        progress: &dyn Progress,
    ) -> Result<Vec<Copy>, DedupError> {
        match self.0.exact_copies {
            ExactCopies::Search => Ok(Vec::new()),
            ExactCopies::Collapse => copies(rows, scores, progress),
        }
    }

    fn clusters(
        &self,
        given: &Rows<'_>,
        distinct: &Rows<'_>,
        inputs: Inputs<'_>,
        progress: &dyn Progress,
    ) -> Result<Clusters, DedupError> {
        if let Some(clusters) = inputs.clusters {
            return Ok(clusters.only(distinct.usable())?);
        }
        // Bad rows and copies do not change how many clusters there are.
        let wanted = self.0.clusters.unwrap_or_else(|| suggested_clusters(given.given().len()));
        let k_means = self.0.k_means.clone();
        Ok(k_means.run_inside(wanted, self.0.seed, distinct, inputs.engine, progress)?)
    }

    /// Looks into neighboring clusters as well, and measures on a sample what that found.
    fn probe(
        &self,
        vectors: &impl EmbeddingSource,
        preferred: &Preferred<'_>,
        order: &Ordered,
        matches: &mut Matches,
        progress: &dyn Progress,
    ) -> Result<Probing, DedupError> {
        let Preferred { clusters, ids, .. } = *preferred;
        let near =
            probe::nearest_clusters(vectors, clusters.clustering(), self.0.probes, progress)?;
        let probe = probe::Probe::new(&preferred.of_all()?, &near, clusters.k());
        let mut sample = probe.sample(vectors, ids, self.0.seed, progress)?;
        sample.without(matches);
        let pairs = probe.search(vectors, order, matches, progress)?;
        Ok(sample.with(matches, pairs))
    }
}

/// Rows in order of preference.
struct Preferred<'a> {
    method: &'a SemanticDedup,
    clusters: &'a Clusters,
    ids: &'a [SampleId],
    inputs: Inputs<'a>,
}

impl Preferred<'_> {
    /// Inside each cluster.
    fn in_clusters(&self) -> Result<Ordered, ClusterError> {
        self.order(&self.clusters.clustering().assignment)
    }

    /// All rows as one cluster.
    fn of_all(&self) -> Result<Ordered, ClusterError> {
        self.order(&self.clusters.clustering().assignment.together())
    }

    fn order(&self, assignment: &Assignment) -> Result<Ordered, ClusterError> {
        let Self { method, clusters, ids, inputs } = self;
        match inputs.scores {
            Some(scores) => {
                let scores = scores.gather(clusters.rows().iter().map(Some));
                Ordered::by_score(assignment, ids, &scores, Direction::HigherIsBetter)
            }
            None => {
                let seed = random::derive(method.0.seed, "dedup");
                let metric = clusters.clustering().metric;
                Ordered::new(assignment, metric, ids, method.0.preference, seed)
            }
        }
    }
}

/// All but one of the rows with the same vector, compared as the search would compare them.
fn copies(
    rows: &Rows<'_>,
    scores: Option<&ScoreColumn>,
    progress: &dyn Progress,
) -> Result<Vec<Copy>, DedupError> {
    let (usable, ids) = (rows.usable().rows(), rows.usable_ids());
    let score = |place: usize| scores.map_or(0.0, |scores| scores.get(usable[place]));
    let mut order: Vec<usize> = (0..usable.len()).collect();
    order.sort_by(|&a, &b| {
        better_first(score(a), score(b), Direction::HigherIsBetter)
            .then_with(|| ids[a].cmp(&ids[b]))
    });
    let mut rank = vec![0_usize; usable.len()];
    order.iter().enumerate().for_each(|(at, &place)| rank[place] = at);
    let found = ExactDuplicates::of_vectors(&rows.unit(), &rank, progress)?;
    let copy = |place: usize| {
        found.cause(place).map(|stays| Copy { row: usable[place], stays: usable[stays] })
    };
    Ok((0..usable.len()).filter_map(copy).collect())
}
