//! Semantic deduplication.

use curate_cluster::{Assignment, Clustering, Metric, Ordered, Preference};
use curate_core::{
    EmbeddingSource, SampleId,
    embedding::{RowsOf, UnitRows},
    fault::NormPolicy,
    random,
    rank::{Direction, better_first, fraction_of},
};
use curate_dedup::{
    Duplicates, ExactDuplicates, Keep, Probe, nearest_clusters, similarity_threshold,
};
use curate_device::DeviceName;
use curate_io::Pool;
use curate_report::Section;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{
    clustering::{self, KMeansRecipe, KMeansTold, dim},
    duplicates_section,
    given_clusters::ClusterSource,
    quarantine::quarantine,
};
use crate::{
    Error,
    error::StageError,
    page::Page,
    record::{Outcome, StageRecord},
    rows::StageRows,
    stage::{
        Context, Cost, Done, Method, Numbers, Problems, Reads, Settings, Source, is_default,
        percent, told,
    },
};

/// The rule under which duplicates go.
const RULE: &str = "semantic-duplicate";
/// The rule under which copies to the bit go.
const EXACT_RULE: &str = "exact-duplicate";
/// Rows that recall is measured on.
const RECALL_ROWS: usize = 1_000;
/// What is kept where the recipe does not say.
const EPSILON: f64 = 0.05;

/// A stage that removes semantic duplicates. Give at most one of `epsilon`, `fraction`, `count`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SemanticDedupStage {
    /// The stage's name.
    #[serde(default = "name")]
    pub name: String,
    /// The stage whose rows it takes; left out, the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The embedding in which rows are compared.
    pub embedding: String,
    /// Rows whose cosine to a preferred row of their cluster is above `1 - epsilon` go. 0.05 unless
    /// `fraction` or `count` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// Keeps the least duplicated fraction of the stage's rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// Keeps the least duplicated so many rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// What a row is compared with.
    #[serde(default)]
    pub mode: DedupMode,
    /// Which of two duplicates stays: `hard` the one farther from the centroid, `easy` the nearer,
    /// `random` by a hash of its id.
    #[serde(default)]
    pub preference: Preference,
    /// A score stage; of two duplicates the one with the higher score stays. Replaces `preference`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefer_score: Option<String>,
    /// Before the search, removes rows whose vectors are the same to the bit, but for one: the one
    /// with the higher score where `prefer-score` is given, else the one with the smallest id.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact_duplicates: bool,
    /// Compares each row also with so many of the nearest other clusters, and reports how many more
    /// duplicates that found. 0 when left out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub probes: usize,
    /// Number of clusters; left out, half the square root of the number of rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<usize>,
    /// An earlier `cluster` stage whose clusters are taken. Then `clusters` and `k-means` do not
    /// count, and rows to which it gave no cluster go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters_from: Option<String>,
    /// How to cluster.
    #[serde(default)]
    pub k_means: KMeansRecipe,
    /// What to do with vectors whose length is not 1.
    #[serde(default)]
    pub norm: NormPolicy,
}

/// What a row is compared with when duplicates are removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DedupMode {
    /// All preferred rows of its cluster, also those that go (the published code). Any epsilon,
    /// fraction or count can be chosen afterwards.
    #[default]
    Reference,
    /// Preferred rows that stay, so that one row of each group survives (the paper's text). Needs
    /// an `epsilon`.
    Greedy,
}

fn name() -> String {
    "dedup".to_owned()
}

impl Settings for SemanticDedupStage {
    fn name(&self) -> &str {
        &self.name
    }

    fn sources(&self) -> Vec<Source<'_>> {
        Source::from(self.from.as_deref())
    }

    fn reads(&self) -> Reads<'_> {
        Reads {
            embeddings: vec![&self.embedding],
            scores: self.prefer_score.as_deref().into_iter().collect(),
            clusters: self.clusters_from.as_deref().into_iter().collect(),
            device: self.clusters_from.is_none().then_some(self.k_means.device),
            ..Reads::default()
        }
    }

    fn check(&self, wrong: &mut Problems) {
        let sized = usize::from(self.fraction.is_some()) + usize::from(self.count.is_some());
        let given = sized + usize::from(self.epsilon.is_some());
        wrong.must(given <= 1, "give one of `epsilon`, `fraction` and `count`");
        wrong.must(
            self.epsilon.is_none_or(|e| (0.0..=2.0).contains(&e)),
            "`epsilon` must be from 0 to 2",
        );
        wrong.fraction(self.fraction);
        wrong.at_least_one("count", self.count);
        if self.mode == DedupMode::Greedy {
            wrong.must(sized == 0, "`mode = \"greedy\"` needs an `epsilon`");
            wrong.must(
                self.probes == 0,
                "`probes` compares with rows that go as well: leave out `mode = \"greedy\"`",
            );
        }
        let both = self.clusters_from.is_some() && self.clusters.is_some();
        wrong.must(!both, "give one of `clusters` and `clusters-from`");
        self.k_means.check(self.clusters, wrong);
    }

    fn set_device(&mut self, device: DeviceName) {
        self.k_means.device = device;
    }

    fn complete(&mut self, rows: usize) {
        if let Wanted::Epsilon(epsilon) = self.wanted() {
            self.epsilon = Some(epsilon);
        }
        if self.clusters_from.is_none() {
            let suggested = ((rows as f64).sqrt() / 2.0).round() as usize;
            self.clusters.get_or_insert(suggested.clamp(1, 50_000));
        }
    }

    fn resolve(&self) -> Result<Box<dyn Method>, StageError> {
        let clusters = ClusterSource::of(&self.clusters_from, self.clusters, &self.k_means);
        Ok(Box::new(Dedup { wanted: self.wanted(), clusters, stage: self.clone() }))
    }
}

impl SemanticDedupStage {
    fn wanted(&self) -> Wanted {
        match (self.fraction, self.count) {
            (Some(fraction), _) => Wanted::Fraction(fraction),
            (None, Some(count)) => Wanted::Count(count),
            (None, None) => Wanted::Epsilon(self.epsilon.unwrap_or(EPSILON)),
        }
    }
}

/// Which rows stay.
#[derive(Clone, Copy)]
enum Wanted {
    Epsilon(f64),
    Fraction(f64),
    Count(usize),
}

/// Semantic dedup with one rule and a number of clusters.
struct Dedup {
    stage: SemanticDedupStage,
    wanted: Wanted,
    clusters: ClusterSource,
}

/// What a semantic dedup tells.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct DedupTold {
    /// The largest similarity that stays.
    threshold: Option<f64>,
    epsilon: Option<f64>,
    /// Copies that went before the search.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exact_duplicates: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probing: Option<ProbingTold>,
    /// Not where the clusters are those of another stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    k_means: Option<KMeansTold>,
}

/// What a look into neighboring clusters found.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ProbingTold {
    pairs: u64,
    rows_with_a_nearer_match: usize,
    recall_sample: usize,
    duplicates_in_sample: usize,
    recall_without: Option<f64>,
    recall: Option<f64>,
}

impl Method for Dedup {
    fn execute(&self, context: &Context<'_>) -> Result<Outcome, StageError> {
        execute(self, context)
    }

    fn in_words(&self) -> String {
        let embedding = &self.stage.embedding;
        match self.wanted {
            Wanted::Epsilon(epsilon) => format!(
                "remove rows whose cosine in {embedding} to a preferred row of their cluster is above {}",
                similarity_threshold(epsilon)
            ),
            Wanted::Fraction(fraction) => format!(
                "keep the {} % of rows that are least duplicated in {embedding}",
                percent(fraction)
            ),
            Wanted::Count(count) => {
                format!("keep the {count} rows that are least duplicated in {embedding}")
            }
        }
    }

    fn leaves(&self, rows: usize) -> usize {
        match self.wanted {
            Wanted::Epsilon(_) => rows,
            Wanted::Fraction(fraction) => fraction_of(rows, fraction),
            Wanted::Count(count) => count.min(rows),
        }
    }

    fn cost(&self, rows: usize, pool: &Pool) -> Result<Cost, Error> {
        let embedding = &self.stage.embedding;
        let clustering = self.clusters.cost(rows, embedding, pool)?;
        let dim = dim(pool, embedding)? as f64;
        // Clusters of even size; two copies of the vectors of the clusters in work.
        let size = rows as f64 / self.clusters.number() as f64;
        let threads = rayon::current_num_threads() as f64;
        let in_work = (2.0 * size * threads).min(2.0 * rows as f64) * 4.0 * dim;
        Ok(Cost {
            reads: clustering.reads,
            memory: clustering.memory + in_work as u64,
            operations: clustering.operations + rows as f64 * size * dim,
        })
    }

    fn explain(&self, value: Option<f64>, threshold: Option<f64>) -> Option<String> {
        let (value, threshold) = (told(value), told(threshold));
        Some(format!("similarity {value} to a preferred sample, limit {threshold}"))
    }

    fn numbers(&self) -> Option<Numbers> {
        // Numbers of a greedy search hold for its own epsilon alone.
        (self.stage.mode == DedupMode::Reference).then_some(Numbers::Similarities)
    }

    fn report(&self, page: &Page<'_>, done: &Done<'_>) -> Result<Vec<Section>, Error> {
        let threshold = done.record.told::<DedupTold>()?.and_then(|told| told.threshold);
        Ok(vec![duplicates_section::section(page, done, threshold)?])
    }

    fn notes(&self, record: &StageRecord) -> Result<Vec<String>, Error> {
        clustering::notes(record)
    }
}

fn execute(dedup: &Dedup, context: &Context<'_>) -> Result<Outcome, StageError> {
    let stage = &dedup.stage;
    let embedding = context.pool.embedding(&stage.embedding)?;
    let mut rows = StageRows::new(context.input);
    let mut good =
        quarantine(&embedding, &stage.embedding, stage.norm, &mut rows, context.progress)?;
    good = dedup.clusters.retain(good, &mut rows, context)?;
    if good.is_empty() {
        return Ok(Outcome::new(rows));
    }
    rows.related = vec![None; rows.rows.len()];
    let scores = stage.prefer_score.as_ref().map(|score| context.score(score)).transpose()?;
    let given = good.len();
    if stage.exact_duplicates {
        good = collapse(&embedding, scores.as_deref(), &good, &mut rows, context)?;
    }
    let copies = given - good.len();

    let pool_rows: Vec<usize> = good.iter().map(|&position| rows.rows[position]).collect();
    let ids: Vec<SampleId> = pool_rows.iter().map(|&row| context.pool.ids()[row]).collect();
    let source = RowsOf::new(&embedding, &pool_rows);
    let source = UnitRows(&source);
    let clustering = dedup.clusters.cluster(&source, &pool_rows, context)?;
    let scores: Option<Vec<f32>> =
        scores.map(|scores| good.iter().map(|&position| scores[position]).collect());
    let in_order = |assignment: &Assignment, k| match &scores {
        Some(scores) => Ordered::by_score(assignment, k, &ids, scores, Direction::HigherIsBetter),
        None => {
            let seed = random::derive(context.seed, "dedup");
            Ordered::new(assignment, k, Metric::Spherical, &ids, stage.preference, seed)
        }
    };
    let order = in_order(&clustering.assignment, clustering.k());
    let mut found = match (stage.mode, dedup.wanted) {
        (DedupMode::Greedy, Wanted::Epsilon(epsilon)) => {
            Duplicates::find_greedy(&source, &order, epsilon, context.progress)?
        }
        _ => Duplicates::find(&source, &order, context.progress)?,
    };
    let keep = match dedup.wanted {
        Wanted::Epsilon(epsilon) => Keep::Epsilon(epsilon),
        // A fraction is one of all rows given, so that a quarantined row does not shrink the result.
        Wanted::Fraction(fraction) => Keep::Count(fraction_of(context.input.len(), fraction)),
        Wanted::Count(count) => Keep::Count(count),
    };
    let probed = match stage.probes {
        0 => None,
        _ => {
            let nearness = clustering.assignment.nearness.clone();
            let together = Assignment { cluster: vec![0; good.len()], nearness };
            let parts = (&clustering, &order, &in_order(&together, 1));
            Some(probe(stage.probes, &source, parts, &mut found, (keep, &ids), context)?)
        }
    };
    let decided = found.keep(keep, &ids);

    rows.cluster = vec![None; rows.rows.len()];
    for (local, &position) in good.iter().enumerate() {
        rows.value[position] = found.similarity[local];
        rows.threshold[position] = decided.threshold.unwrap_or(f32::NAN);
        rows.cluster[position] = Some(clustering.assignment.cluster[local]);
        rows.related[position] = found.cause(local).map(|other| pool_rows[other]);
        if !decided.kept[local] {
            rows.remove(position, RULE);
        }
    }
    let told = DedupTold {
        threshold: decided.threshold.map(f64::from),
        epsilon: decided.threshold.map(|t| 1.0 - f64::from(t)),
        exact_duplicates: stage.exact_duplicates.then_some(copies),
        probing: probed,
        k_means: dedup.clusters.told(&clustering),
    };
    Ok(Outcome::new(rows).telling(&told).with_centroids(clustering.centroids))
}

/// Removes all but one of the rows with the same vector; returns the positions of the others.
fn collapse(
    embedding: &dyn EmbeddingSource,
    scores: Option<&[f32]>,
    good: &[usize],
    rows: &mut StageRows,
    context: &Context<'_>,
) -> Result<Vec<usize>, StageError> {
    let pool_rows: Vec<usize> = good.iter().map(|&position| rows.rows[position]).collect();
    let id = |local: usize| context.pool.ids()[pool_rows[local]];
    let mut order: Vec<usize> = (0..good.len()).collect();
    order.sort_by(|&a, &b| {
        let score = |local: usize| scores.map_or(0.0, |scores| scores[good[local]]);
        better_first(score(a), score(b), Direction::HigherIsBetter).then_with(|| id(a).cmp(&id(b)))
    });
    let mut place = vec![0_usize; good.len()];
    order.iter().enumerate().for_each(|(rank, &local)| place[local] = rank);
    // The vectors as the search would compare them.
    let source = RowsOf::new(embedding, &pool_rows);
    let found = ExactDuplicates::of_vectors(&UnitRows(&source), &place, context.progress)?;
    for (local, &position) in good.iter().enumerate() {
        if let Some(stays) = found.cause(local) {
            // A copy's cosine, so that a later cut of another epsilon or count removes it first.
            rows.value[position] = 1.0;
            rows.related[position] = Some(pool_rows[stays]);
            rows.remove(position, EXACT_RULE);
        }
    }
    Ok(found.kept().into_iter().map(|local| good[local]).collect())
}

/// Looks into neighbouring clusters as well; tells what that found.
fn probe<S: EmbeddingSource>(
    probes: usize,
    source: &S,
    (clustering, order, preferred): (&Clustering, &Ordered, &Ordered),
    found: &mut Duplicates,
    (keep, ids): (Keep, &[SampleId]),
    context: &Context<'_>,
) -> Result<ProbingTold, StageError> {
    let near = nearest_clusters(
        source,
        clustering.centroids.view(),
        Metric::Spherical,
        &clustering.assignment,
        probes,
        context.progress,
    )?;
    let probe = Probe::new(preferred, &near, clustering.k());
    let probed = probe.search(source, order, found, context.progress)?;
    let threshold = probed.duplicates.keep(keep, ids).threshold;
    let epsilon = 1.0 - f64::from(threshold.unwrap_or(1.0));
    let sample = (RECALL_ROWS, context.seed);
    let recall =
        |found: &Duplicates| probe.recall(source, ids, found, epsilon, sample, context.progress);
    let (before, after) = (recall(found)?, recall(&probed.duplicates)?);
    *found = probed.duplicates;
    Ok(ProbingTold {
        pairs: probed.pairs,
        rows_with_a_nearer_match: probed.improved,
        recall_sample: after.sampled,
        duplicates_in_sample: after.duplicates,
        recall_without: Some(before.share()),
        recall: Some(after.share()),
    })
}
