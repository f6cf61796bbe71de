//! Concept-complexity pruning.

use curate_cluster::Preference;
use curate_core::{Cut, fault::NormPolicy, rank::fraction_of};
use curate_device::DeviceName;
use curate_io::Pool;
use curate_prune::{
    AllocationReport, CONCEPT_QUOTA, CONTROL, ConceptPruneParams, Concepts, Control, Inputs, Pick,
    Preset, Pruned, Share, suggested_clusters,
};
use curate_report::Section;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{
    clustering::{self, KMeansRecipe, KMeansTold},
    concepts_section,
    given_clusters::ClusterSource,
};
use crate::{
    Error,
    concept::Concept,
    error::StageError,
    page::Page,
    record::{Outcome, StageRecord},
    rows::StageRows,
    stage::{
        Context, Cost, Done, InClusters, Method, Problems, Reads, Settings, Source, Work, percent,
        told,
    },
};

/// A stage that prunes each concept by its complexity. Give either `fraction` or `count`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConceptPruneStage {
    /// The stage's name.
    #[serde(default = "name")]
    pub name: String,
    /// The stage whose rows it takes; the one before if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The embedding whose clusters are the concepts.
    pub embedding: String,
    /// Keeps this fraction of the stage's rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// Keeps this many rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// What decides a concept's share.
    #[serde(default)]
    pub share: Share,
    /// The published setting that `temperature` and `balance` come from where they are left out.
    #[serde(default)]
    pub preset: Preset,
    /// The softmax temperature of the complexity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// The share of an even quota that every concept is guaranteed, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<f64>,
    /// Nearest other centroids that count for a concept's distance to its neighbors.
    #[serde(default = "neighbors", rename = "neighbours", alias = "neighbors")]
    pub neighbors: usize,
    /// Which rows of a concept fill its quota.
    #[serde(default)]
    pub preference: Preference,
    /// How the quota is filled from the preferred rows.
    #[serde(default)]
    pub pick: Pick,
    /// Keeps rows by a baseline on the same clusters instead: for comparison with the method. Then
    /// `share`, `preset`, `temperature`, `balance`, `preference` and `pick` do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<Control>,
    /// Number of clusters; left out, the cube root of the number of rows.
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

fn name() -> String {
    "prune".to_owned()
}

fn neighbors() -> usize {
    20
}

impl Settings for ConceptPruneStage {
    fn name(&self) -> &str {
        &self.name
    }

    fn sources(&self) -> Vec<Source<'_>> {
        Source::from(self.from.as_deref())
    }

    fn reads(&self) -> Reads<'_> {
        Reads {
            embeddings: vec![&self.embedding],
            clusters: self.clusters_from.as_deref().into_iter().collect(),
            device: self.clusters_from.is_none().then_some(self.k_means.device),
            ..Reads::default()
        }
    }

    fn check(&self, wrong: &mut Problems) {
        if let Err(problem) = self.cut() {
            wrong.must(false, problem);
        }
        wrong.fraction(self.fraction);
        wrong.at_least_one("count", self.count);
        let both = self.clusters_from.is_some() && self.clusters.is_some();
        wrong.must(!both, "give one of `clusters` and `clusters-from`");
        if let Err(error) = self.params().check() {
            wrong.violations(&error, |field| match field {
                "neighbors" => "neighbours".to_owned(),
                field => clustering::key(field),
            });
        }
    }

    fn set_device(&mut self, device: DeviceName) {
        self.k_means.device = device;
    }

    fn complete(&mut self, rows: usize) {
        self.temperature.get_or_insert(self.preset.temperature());
        self.balance.get_or_insert(self.preset.balance());
        if self.clusters_from.is_none() {
            self.clusters.get_or_insert(suggested_clusters(rows));
        }
    }

    fn resolve(&self) -> Result<Box<dyn Method>, StageError> {
        let cut = self.cut().map_err(|problem| StageError::Problem(problem.to_owned()))?;
        let clusters = ClusterSource::of(&self.clusters_from, self.clusters, &self.k_means);
        Ok(Box::new(Prune { cut, clusters, stage: self.clone() }))
    }
}

impl ConceptPruneStage {
    fn cut(&self) -> Result<Cut, &'static str> {
        match (self.fraction, self.count) {
            (Some(fraction), None) => Ok(Cut::Fraction(fraction)),
            (None, Some(count)) => Ok(Cut::Top(count)),
            _ => Err("give either `fraction` or `count`"),
        }
    }

    /// As the method takes it.
    fn params(&self) -> ConceptPruneParams {
        let mut params = ConceptPruneParams::preset(self.preset)
            .share(self.share)
            .neighbors(self.neighbors)
            .preference(self.preference)
            .pick(self.pick)
            .k_means(self.k_means.params());
        if let Some(temperature) = self.temperature {
            params = params.temperature(temperature);
        }
        if let Some(balance) = self.balance {
            params = params.balance(balance);
        }
        if let Some(control) = self.control {
            params = params.control(control);
        }
        match self.clusters {
            Some(clusters) => params.clusters(clusters),
            None => params,
        }
    }
}

/// Concept pruning with one cut and clusters.
struct Prune {
    stage: ConceptPruneStage,
    cut: Cut,
    clusters: ClusterSource,
}

/// What a pruning tells.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct PruneTold {
    /// By number of the cluster.
    clusters: Vec<Concept>,
    /// How the bounds changed the quotas; a control has none.
    #[serde(flatten)]
    bounds: Option<BoundsTold>,
    /// Not where the clusters are those of another stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    k_means: Option<KMeansTold>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct BoundsTold {
    clusters_at_minimum: usize,
    clusters_kept_whole: usize,
    moved_by_bounds: f64,
    share_spread: Option<f64>,
}

impl BoundsTold {
    fn of(report: &AllocationReport) -> Self {
        Self {
            clusters_at_minimum: report.at_least,
            clusters_kept_whole: report.at_most,
            moved_by_bounds: report.moved,
            share_spread: Some(report.spread),
        }
    }
}

impl Method for Prune {
    fn execute(&self, context: &Context<'_>) -> Result<Outcome, StageError> {
        let embedding = context.pool.embedding(&self.stage.embedding)?;
        let rows = context.rows(&embedding, &self.stage.embedding, self.stage.norm)?;
        let shared = self.clusters.share(rows, context)?;
        let usable = shared.rows.usable().len();
        if usable == 0 {
            return Ok(Outcome::new(shared.verdicts(context.input)));
        }
        let engine = self.clusters.engine()?;
        let clusters = shared.clusters.as_ref().or(context.ahead.clusters.as_ref());
        let inputs = Inputs { clusters, engine: engine.as_deref() };
        let prune = self.stage.params().seed(context.seed).check()?;
        let concepts = prune.run_with(&shared.rows, inputs, context.progress)?;
        let pruned = concepts.prune(match self.cut {
            // A fraction is one of all rows given, those without a cluster included.
            Cut::Fraction(fraction) => {
                Cut::Top(fraction_of(context.input.len(), fraction).min(usable))
            }
            cut => cut,
        })?;
        let told = PruneTold {
            clusters: told_of(&concepts, &pruned),
            bounds: pruned.report.as_ref().map(BoundsTold::of),
            k_means: self.clusters.told(concepts.clusters()),
        };
        let centroids = concepts.clusters().clustering().centroids.clone();
        let verdicts = verdicts(shared.verdicts(context.input), &concepts, &pruned);
        Ok(Outcome::new(verdicts).telling(&told).with_centroids(centroids))
    }

    fn work(&self) -> Work<'_> {
        let Some(origin) = self.clusters.origin() else { return Work::Whole };
        let ConceptPruneStage { embedding, norm, .. } = &self.stage;
        Work::InClusters(InClusters { embedding, norm: *norm, origin, search: None })
    }

    fn in_words(&self) -> String {
        let embedding = &self.stage.embedding;
        let wanted = match self.cut {
            Cut::Top(count) => count.to_string(),
            Cut::Fraction(fraction) => format!("{} %", percent(fraction)),
            // Recipes have no such keys for it, and the method refuses them.
            Cut::Threshold(_) | Cut::Epsilon(_) => "some".to_owned(),
        };
        match self.stage.control {
            None => format!("keep {wanted} of the rows, more of complex concepts in {embedding}"),
            Some(control) => {
                format!("keep {wanted} of the rows, {}, in {embedding}", control.in_words())
            }
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
        self.clusters.cost(rows, &self.stage.embedding, pool)
    }

    fn explain(&self, value: Option<f64>, threshold: Option<f64>) -> Option<String> {
        let value = told(value);
        Some(match self.stage.control {
            // A control's number is compared with nothing.
            Some(_) => format!("distance {value} to its centroid"),
            None => format!("rank {value} in its concept, quota {}", told(threshold)),
        })
    }

    fn concepts(&self, record: &StageRecord) -> Result<Option<Vec<Concept>>, Error> {
        let told: Option<PruneTold> = record.told()?;
        Ok(Some(told.map_or(vec![], |told| told.clusters)))
    }

    fn report(&self, page: &Page<'_>, done: &Done<'_>) -> Result<Vec<Section>, Error> {
        let concepts = self.concepts(done.record)?.unwrap_or_default();
        Ok(vec![concepts_section::section(page, done, &concepts)?])
    }

    fn notes(&self, record: &StageRecord) -> Result<Vec<String>, Error> {
        clustering::notes(record)
    }
}

/// The number of a row is its rank in its concept, compared with the quota; where a control decides,
/// its distance to its centroid, compared with nothing.
fn verdicts(mut rows: StageRows, concepts: &Concepts, pruned: &Pruned) -> StageRows {
    rows.cluster = vec![None; rows.rows.len()];
    let (ranks, distances) = (concepts.ranks(), concepts.distances());
    let clusters = concepts.clusters().clustering().assignment.cluster();
    let by_quota = pruned.report.is_some();
    for (place, row) in concepts.clusters().rows().iter().enumerate() {
        let position = rows.position(row).expect("a row that was given");
        let cluster = clusters[place];
        rows.cluster[position] = Some(cluster);
        if by_quota {
            rows.value.set(position, ranks[place] as f32);
            rows.threshold.set(position, pruned.counts[cluster as usize] as f32);
        } else {
            rows.value.set(position, distances[place]);
        }
        if !pruned.kept.contains(row) {
            rows.remove(position, if by_quota { CONCEPT_QUOTA } else { CONTROL });
        }
    }
    rows
}

/// What is known of each concept, by number of its cluster.
fn told_of(concepts: &Concepts, pruned: &Pruned) -> Vec<Concept> {
    let sizes = concepts.clusters().sizes();
    let of = sizes.into_iter().zip(&pruned.counts);
    let counted = of.map(|(size, &quota)| Concept { size, quota, ..Concept::default() });
    let Some(report) = &pruned.report else { return counted.collect() };
    let complexity = concepts.complexity();
    let told = |(c, counted): (usize, Concept)| Concept {
        share: Some(report.clusters[c].share),
        complexity: Some(complexity.complexity[c]),
        intra: Some(complexity.intra[c]),
        inter: Some(complexity.inter[c]),
        ..counted
    };
    counted.enumerate().map(told).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(text: &str) -> ConceptPruneStage {
        toml::from_str(&format!("embedding = \"img\"\n{text}")).unwrap()
    }

    #[test]
    fn a_preset_fills_in_what_is_left_open() {
        let mut code = stage("fraction = 0.5\npreset = \"code\"\nbalance = 0.25");
        code.complete(27_000);
        assert_eq!((code.temperature, code.balance), (Some(0.5), Some(0.25)));
        assert_eq!(code.clusters, Some(30));
    }

    #[test]
    fn both_spellings_of_neighbors_are_read_and_one_is_written() {
        let (ours, other) = (stage("count = 3\nneighbours = 7"), stage("count = 3\nneighbors = 7"));
        assert_eq!(ours, other);
        assert!(toml::to_string(&other).unwrap().contains("neighbours = 7"));
    }

    #[test]
    fn the_method_says_what_is_wrong_under_the_recipes_keys() {
        let mut wrong = Problems::default();
        stage("temperature = 0\nneighbours = 0\nk-means = { iterations = 0 }").check(&mut wrong);
        let expected = [
            "give either `fraction` or `count`",
            "`temperature` must be above 0 and finite, not 0",
            "`neighbours` must be at least 1, not 0",
            "`k-means.iterations` must be at least 1, not 0",
        ];
        assert_eq!(wrong.0, expected);
    }
}
