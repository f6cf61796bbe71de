//! Semantic deduplication.

use curate_cluster::{Clusters, Preference};
use curate_core::{
    Cut, Rows, ScoreColumn, Selection,
    fault::NormPolicy,
    rank::{Outcome as Decided, fraction_of, similarity_threshold},
};
use curate_dedup::{
    Duplicates, EXACT_DUPLICATE, ExactCopies, Found, Inputs, Mode, SEMANTIC_DUPLICATE,
    SemanticDedupParams, suggested_clusters,
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
    probing::ProbingTold,
};
use crate::{
    Error,
    error::StageError,
    page::Page,
    record::{Outcome, StageRecord},
    rows::StageRows,
    stage::{
        ClusterSearch, Context, Cost, Done, InClusters, Method, Numbers, Preferred, Problems,
        Reads, Settings, Source, Work, is_default, percent, told,
    },
};

/// What is kept where the recipe does not say.
const EPSILON: f64 = 0.05;

/// A stage that removes semantic duplicates. Give at most one of `epsilon`, `fraction`, `count`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SemanticDedupStage {
    /// The stage's name.
    #[serde(default = "name")]
    pub name: String,
    /// The stage whose rows it takes; the one before if left out.
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
    /// Keeps this many of the least duplicated rows.
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
        if let Err(error) = self.epsilon.map_or(Ok(()), |e| Cut::Epsilon(e).check().map(drop)) {
            wrong.violations(&error, str::to_owned);
        }
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
        // Of the mode more was said above, in the words of recipes.
        if let Err(error) = self.params(Mode::Reference).check() {
            wrong.violations(&error, clustering::key);
        }
    }

    fn set_device(&mut self, device: DeviceName) {
        self.k_means.device = device;
    }

    fn complete(&mut self, rows: usize) {
        if let Cut::Epsilon(epsilon) = self.cut() {
            self.epsilon = Some(epsilon);
        }
        if self.clusters_from.is_none() {
            self.clusters.get_or_insert(suggested_clusters(rows));
        }
    }

    fn resolve(&self) -> Result<Box<dyn Method>, StageError> {
        let cut = self.cut();
        let mode = match (self.mode, cut) {
            (DedupMode::Greedy, Cut::Epsilon(epsilon)) => Mode::Greedy(epsilon),
            _ => Mode::Reference,
        };
        let clusters = ClusterSource::of(&self.clusters_from, self.clusters, &self.k_means);
        Ok(Box::new(Dedup { cut, mode, clusters, stage: self.clone() }))
    }
}

impl SemanticDedupStage {
    fn cut(&self) -> Cut {
        match (self.fraction, self.count) {
            (Some(fraction), _) => Cut::Fraction(fraction),
            (None, Some(count)) => Cut::Top(count),
            (None, None) => Cut::Epsilon(self.epsilon.unwrap_or(EPSILON)),
        }
    }

    /// As the method takes it.
    fn params(&self, mode: Mode) -> SemanticDedupParams {
        let copies =
            if self.exact_duplicates { ExactCopies::Collapse } else { ExactCopies::Search };
        let params = SemanticDedupParams::new()
            .mode(mode)
            .preference(self.preference)
            .exact_copies(copies)
            .probes(self.probes)
            .k_means(self.k_means.params());
        match self.clusters {
            Some(clusters) => params.clusters(clusters),
            None => params,
        }
    }
}

/// Semantic dedup with one cut, a mode and clusters.
struct Dedup {
    stage: SemanticDedupStage,
    cut: Cut,
    mode: Mode,
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

impl Method for Dedup {
    fn execute(&self, context: &Context<'_>) -> Result<Outcome, StageError> {
        let embedding = context.pool.embedding(&self.stage.embedding)?;
        let rows = context.rows(&embedding, &self.stage.embedding, self.stage.norm)?;
        let shared = self.clusters.share(rows, context)?;
        if shared.rows.usable().is_empty() {
            return Ok(Outcome::new(shared.verdicts(context.input)));
        }
        let scores = self.scores(context)?;
        let engine = self.clusters.engine()?;
        let inputs = Inputs {
            clusters: shared.clusters.as_ref().or(context.ahead.clusters.as_ref()),
            scores: scores.as_ref(),
            found: context.ahead.found.as_deref(),
            engine: engine.as_deref(),
        };
        let dedup = self.stage.params(self.mode).seed(context.seed).check()?;
        let found = dedup.run_with(&shared.rows, inputs, context.progress)?;
        let decided = found.outcome(match self.cut {
            // A fraction is one of all rows given, those without a cluster included.
            Cut::Fraction(fraction) => Cut::Top(fraction_of(context.input.len(), fraction)),
            cut => cut,
        })?;
        let told = DedupTold {
            threshold: decided.threshold,
            epsilon: decided.threshold.map(|t| 1.0 - t),
            exact_duplicates: self.stage.exact_duplicates.then(|| found.copies().len()),
            probing: ProbingTold::of(&found, decided.threshold),
            k_means: self.clusters.told(found.clusters()),
        };
        let centroids = found.clusters().clustering().centroids.clone();
        let verdicts = verdicts(shared.verdicts(context.input), &found, &decided);
        Ok(Outcome::new(verdicts).telling(&told).with_centroids(centroids))
    }

    fn work(&self) -> Work<'_> {
        let Some(origin) = self.clusters.origin() else { return Work::Whole };
        let SemanticDedupStage { embedding, norm, .. } = &self.stage;
        Work::InClusters(InClusters { embedding, norm: *norm, origin, search: Some(self) })
    }

    fn in_words(&self) -> String {
        let embedding = &self.stage.embedding;
        let above = |most: String| {
            format!(
                "remove rows whose cosine in {embedding} to a preferred row of their cluster is above {most}"
            )
        };
        match self.cut {
            Cut::Fraction(fraction) => format!(
                "keep the {} % of rows that are least duplicated in {embedding}",
                percent(fraction)
            ),
            Cut::Top(count) => {
                format!("keep the {count} rows that are least duplicated in {embedding}")
            }
            Cut::Epsilon(epsilon) => above(similarity_threshold(epsilon).to_string()),
            Cut::Threshold(most) => above(most.to_string()),
        }
    }

    fn leaves(&self, rows: usize) -> usize {
        match self.cut {
            Cut::Fraction(fraction) => fraction_of(rows, fraction),
            Cut::Top(count) => count.min(rows),
            Cut::Epsilon(_) | Cut::Threshold(_) => rows,
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

    fn preferred(&self) -> Option<Preferred<'_>> {
        if let Some(score) = &self.stage.prefer_score {
            return Some(Preferred::Score(score));
        }
        Some(Preferred::What(match self.stage.preference {
            Preference::Hard => "is farther from the centroid of the cluster",
            Preference::Easy => "is nearer to the centroid of the cluster",
            Preference::Random => "comes first in a random order that the ids decide",
        }))
    }

    fn numbers(&self) -> Option<Numbers> {
        // Numbers of a greedy search hold for its own epsilon alone.
        (self.stage.mode == DedupMode::Reference).then_some(Numbers::Similarities)
    }

    fn report(&self, page: &Page<'_>, done: &Done<'_>) -> Result<Vec<Section>, Error> {
        let threshold = done.record.told::<DedupTold>()?.and_then(|told| told.threshold);
        Ok(vec![duplicates_section::section(page, done, threshold, self.numbers().is_some())?])
    }

    fn notes(&self, record: &StageRecord) -> Result<Vec<String>, Error> {
        clustering::notes(record)
    }
}

impl ClusterSearch for Dedup {
    fn copies(&self, rows: &Rows<'_>, context: &Context<'_>) -> Result<Selection, StageError> {
        let scores = self.scores(context)?;
        let dedup = self.stage.params(self.mode).seed(context.seed).check()?;
        let copies = dedup.copies(rows, scores.as_ref(), context.progress)?;
        Ok(copies.iter().map(|copy| copy.row).collect())
    }

    fn search(
        &self,
        rows: &Rows<'_>,
        clusters: &Clusters,
        context: &Context<'_>,
    ) -> Result<Vec<Found>, StageError> {
        let scores = self.scores(context)?;
        // Copies went before, and looking into neighboring clusters comes after.
        let params = self.stage.params(self.mode).exact_copies(ExactCopies::Search).probes(0);
        let dedup = params.seed(context.seed).check()?;
        let (clusters, scores) = (Some(clusters), scores.as_ref());
        let inputs = Inputs { clusters, scores, ..Inputs::default() };
        Ok(dedup.run_with(rows, inputs, context.progress)?.found())
    }
}

impl Dedup {
    fn scores(&self, context: &Context<'_>) -> Result<Option<ScoreColumn>, StageError> {
        let score = self.stage.prefer_score.as_ref();
        score.map(|score| context.score_of_pool(score)).transpose()
    }
}

fn verdicts(mut rows: StageRows, found: &Duplicates, decided: &Decided) -> StageRows {
    rows.related = vec![None; rows.rows.len()];
    rows.cluster = vec![None; rows.rows.len()];
    for copy in found.copies() {
        let position = rows.position(copy.row).expect("a row that was given");
        // A copy's cosine, so that a later cut of another epsilon or count removes it first.
        rows.value.set(position, 1.0);
        rows.related[position] = Some(copy.stays);
        rows.remove(position, EXACT_DUPLICATE);
    }
    let clusters = found.clusters().clustering().assignment.cluster();
    let compared = found.clusters().rows().iter().zip(found.similarities().iter().zip(clusters));
    for (row, (&similarity, &cluster)) in compared {
        let position = rows.position(row).expect("a row that was given");
        rows.value.set(position, similarity);
        rows.threshold.set(position, decided.threshold.unwrap_or(f64::NAN));
        rows.cluster[position] = Some(cluster);
        rows.related[position] = found.cause(row);
        if !decided.kept.contains(row) {
            rows.remove(position, SEMANTIC_DUPLICATE);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(text: &str) -> SemanticDedupStage {
        toml::from_str(&format!("embedding = \"img\"\n{text}")).unwrap()
    }

    #[test]
    fn what_is_left_open_is_filled_in_when_the_number_of_rows_is_known() {
        let mut left = stage("");
        left.complete(10_000);
        assert_eq!((left.epsilon, left.clusters), (Some(EPSILON), Some(50)));
        let mut shared = stage("count = 7\nclusters-from = \"cluster\"");
        shared.complete(10_000);
        assert_eq!((shared.epsilon, shared.clusters), (None, None));
        assert_eq!(shared.resolve().unwrap().leaves(10_000), 7);
    }

    #[test]
    fn the_method_says_what_is_wrong_under_the_recipes_keys() {
        let mut wrong = Problems::default();
        stage("epsilon = 2.5\nclusters = 0\nk-means = { tolerance = 1.0 }").check(&mut wrong);
        let expected = [
            "`epsilon` must be from 0 to 1, not 2.5",
            "`clusters` must be at least 1, not 0",
            "`k-means.tolerance` must be from 0 to below 1, not 1",
        ];
        assert_eq!(wrong.0, expected);
    }

    #[test]
    fn numbers_of_a_greedy_search_are_not_cut_again() {
        assert!(stage("").resolve().unwrap().numbers().is_some());
        assert!(stage("mode = \"greedy\"").resolve().unwrap().numbers().is_none());
    }
}
