//! Concept-complexity pruning.

use curate_cluster::{Clustering, Metric, Ordered, Preference};
use curate_core::{
    SampleId,
    embedding::{RowsOf, UnitRows},
    fault::NormPolicy,
    random,
    rank::fraction_of,
};
use curate_device::DeviceName;
use curate_io::Pool;
use curate_prune::{
    AllocationReport, Clusters, Complexity, Control, Pick, Preset, Quotas, allocate, lower_bounds,
    select, softmax,
};
use curate_report::Section;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{
    clustering::{self, KMeansRecipe, KMeansTold},
    concepts_section::{self, Concept},
    given_clusters::ClusterSource,
    quarantine::quarantine,
};
use crate::{
    Error,
    error::StageError,
    page::Page,
    record::{Outcome, StageRecord},
    rows::StageRows,
    stage::{Context, Cost, Done, Method, Problems, Reads, Settings, Source, percent, told},
};

/// The rule under which rows beyond their concept's quota go.
const RULE: &str = "concept-quota";
/// The rule under which rows go that a control does not keep.
const CONTROL: &str = "control";

/// A stage that prunes each concept by its complexity. Give either `fraction` or `count`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ConceptPruneStage {
    /// The stage's name.
    #[serde(default = "name")]
    pub name: String,
    /// The stage whose rows it takes; left out, the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The embedding whose clusters are the concepts.
    pub embedding: String,
    /// Keeps this fraction of the stage's rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fraction: Option<f64>,
    /// Keeps so many rows.
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
    /// Nearest other centroids that count for a concept's distance to its neighbours.
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

/// What decides how many rows a concept keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Share {
    /// Its complexity.
    #[default]
    Complexity,
    /// Nothing: all concepts alike (a control).
    Uniform,
    /// Its size (a control).
    Size,
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
        if let Err(problem) = self.wanted() {
            wrong.must(false, problem);
        }
        wrong.fraction(self.fraction);
        wrong.at_least_one("count", self.count);
        wrong.must(
            self.temperature.is_none_or(|t| t > 0.0 && t.is_finite()),
            "`temperature` must be above 0",
        );
        wrong.must(
            self.balance.is_none_or(|b| (0.0..=1.0).contains(&b)),
            "`balance` must be from 0 to 1",
        );
        wrong.at_least_one("neighbours", Some(self.neighbors));
        let both = self.clusters_from.is_some() && self.clusters.is_some();
        wrong.must(!both, "give one of `clusters` and `clusters-from`");
        self.k_means.check(self.clusters, wrong);
    }

    fn set_device(&mut self, device: DeviceName) {
        self.k_means.device = device;
    }

    fn complete(&mut self, rows: usize) {
        self.temperature = Some(self.temperature());
        self.balance = Some(self.balance());
        if self.clusters_from.is_none() {
            self.clusters.get_or_insert(((rows as f64).cbrt().round() as usize).max(1));
        }
    }

    fn resolve(&self) -> Result<Box<dyn Method>, StageError> {
        let wanted = self.wanted().map_err(|problem| StageError::Problem(problem.to_owned()))?;
        Ok(Box::new(Prune {
            wanted,
            temperature: self.temperature(),
            balance: self.balance(),
            clusters: ClusterSource::of(&self.clusters_from, self.clusters, &self.k_means),
            stage: self.clone(),
        }))
    }
}

impl ConceptPruneStage {
    fn wanted(&self) -> Result<Wanted, &'static str> {
        match (self.fraction, self.count) {
            (Some(fraction), None) => Ok(Wanted::Fraction(fraction)),
            (None, Some(count)) => Ok(Wanted::Count(count)),
            _ => Err("give either `fraction` or `count`"),
        }
    }

    fn temperature(&self) -> f64 {
        self.temperature.unwrap_or_else(|| self.preset.temperature())
    }

    fn balance(&self) -> f64 {
        self.balance.unwrap_or_else(|| self.preset.balance())
    }
}

/// How many rows stay.
#[derive(Clone, Copy)]
enum Wanted {
    Fraction(f64),
    Count(usize),
}

impl Wanted {
    fn of(self, rows: usize) -> usize {
        match self {
            Self::Fraction(fraction) => fraction_of(rows, fraction),
            Self::Count(count) => count,
        }
    }
}

/// Concept pruning with a wanted number of rows, a temperature, a balance and a number of clusters.
struct Prune {
    stage: ConceptPruneStage,
    wanted: Wanted,
    temperature: f64,
    balance: f64,
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

impl Method for Prune {
    fn execute(&self, context: &Context<'_>) -> Result<Outcome, StageError> {
        execute(self, context)
    }

    fn in_words(&self) -> String {
        let embedding = &self.stage.embedding;
        let wanted = match self.wanted {
            Wanted::Fraction(fraction) => format!("{} %", percent(fraction)),
            Wanted::Count(count) => count.to_string(),
        };
        match self.stage.control {
            None => format!("keep {wanted} of the rows, more of complex concepts in {embedding}"),
            Some(control) => {
                format!("keep {wanted} of the rows, {}, in {embedding}", control.in_words())
            }
        }
    }

    fn leaves(&self, rows: usize) -> usize {
        self.wanted.of(rows).min(rows)
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

    fn report(&self, page: &Page<'_>, done: &Done<'_>) -> Result<Vec<Section>, Error> {
        let told: Option<PruneTold> = done.record.told()?;
        let concepts = told.map_or(vec![], |told| told.clusters);
        Ok(vec![concepts_section::section(page, done, &concepts)?])
    }

    fn notes(&self, record: &StageRecord) -> Result<Vec<String>, Error> {
        clustering::notes(record)
    }
}

fn execute(prune: &Prune, context: &Context<'_>) -> Result<Outcome, StageError> {
    let stage = &prune.stage;
    let embedding = context.pool.embedding(&stage.embedding)?;
    let mut rows = StageRows::new(context.input);
    let good = quarantine(&embedding, &stage.embedding, stage.norm, &mut rows, context.progress)?;
    let good = prune.clusters.retain(good, &mut rows, context)?;
    if good.is_empty() {
        return Ok(Outcome::new(rows));
    }
    let pool_rows: Vec<usize> = good.iter().map(|&position| rows.rows[position]).collect();
    let ids: Vec<SampleId> = pool_rows.iter().map(|&row| context.pool.ids()[row]).collect();
    let source = RowsOf::new(&embedding, &pool_rows);
    let clustering = prune.clusters.cluster(&UnitRows(&source), &pool_rows, context)?;

    // A fraction is one of all rows given, so that a quarantined row does not shrink the result.
    let wanted = match prune.wanted {
        Wanted::Fraction(_) => prune.wanted.of(context.input.len()).min(good.len()),
        Wanted::Count(count) => count,
    };
    let seed = random::derive(context.seed, "prune");
    let k = clustering.k();
    let assignment = &clustering.assignment;
    if let Some(control) = stage.control {
        let clusters = Clusters { assignment, clusters: k, metric: Metric::Spherical, ids: &ids };
        let kept = control.keep(clusters, wanted, seed)?;
        return Ok(controlled(prune, rows, &good, &kept, clustering));
    }
    let concepts = Concepts::new(prune, &clustering, wanted)?;
    let order = Ordered::new(assignment, k, Metric::Spherical, &ids, stage.preference, seed);
    let kept = select(&order, &concepts.quotas.counts, stage.pick);

    rows.cluster = vec![None; rows.rows.len()];
    for (c, cluster) in order.clusters.iter().enumerate() {
        for (rank, &local) in cluster.iter().enumerate() {
            let position = good[local];
            rows.value[position] = (rank + 1) as f32;
            rows.threshold[position] = concepts.quotas.counts[c] as f32;
            rows.cluster[position] = Some(assignment.cluster[local]);
            if kept.binary_search(&local).is_err() {
                rows.remove(position, RULE);
            }
        }
    }
    let told = PruneTold {
        clusters: concepts.told(),
        bounds: Some(concepts.bounds()),
        k_means: prune.clusters.told(&clustering),
    };
    Ok(Outcome::new(rows).telling(&told).with_centroids(clustering.centroids))
}

/// The rows that a control keeps. Their number is the distance to their centroid; it is compared
/// with nothing.
fn controlled(
    prune: &Prune,
    mut rows: StageRows,
    good: &[usize],
    kept: &[usize],
    clustering: Clustering,
) -> Outcome {
    let mut clusters: Vec<Concept> =
        clustering.sizes().into_iter().map(|size| Concept { size, ..Concept::default() }).collect();
    let distances = clustering.assignment.distances(Metric::Spherical);
    rows.cluster = vec![None; rows.rows.len()];
    for (local, &position) in good.iter().enumerate() {
        let cluster = clustering.assignment.cluster[local];
        rows.value[position] = distances[local];
        rows.cluster[position] = Some(cluster);
        match kept.binary_search(&local) {
            Ok(_) => clusters[cluster as usize].quota += 1,
            Err(_) => rows.remove(position, CONTROL),
        }
    }
    let told = PruneTold { clusters, bounds: None, k_means: prune.clusters.told(&clustering) };
    Outcome::new(rows).telling(&told).with_centroids(clustering.centroids)
}

/// What is known of each concept.
struct Concepts {
    complexity: Complexity,
    share: Vec<f64>,
    sizes: Vec<usize>,
    least: Vec<usize>,
    quotas: Quotas,
}

impl Concepts {
    fn new(prune: &Prune, clustering: &Clustering, wanted: usize) -> Result<Self, StageError> {
        let complexity = Complexity::new(
            clustering.centroids.view(),
            &clustering.assignment,
            prune.stage.neighbors,
        )?;
        let sizes = clustering.assignment.sizes(clustering.k());
        let total = sizes.iter().sum::<usize>() as f64;
        let share = match prune.stage.share {
            Share::Complexity => softmax(&complexity.complexity, prune.temperature),
            Share::Uniform => vec![1.0 / sizes.len() as f64; sizes.len()],
            Share::Size => sizes.iter().map(|&size| size as f64 / total).collect(),
        };
        let least = lower_bounds(wanted, prune.balance, &sizes);
        let quotas = allocate(&share, wanted, &least, &sizes)?;
        Ok(Self { complexity, share, sizes, least, quotas })
    }

    fn told(&self) -> Vec<Concept> {
        let told = |c: usize| Concept {
            size: self.sizes[c],
            quota: self.quotas.counts[c],
            share: Some(self.share[c]),
            complexity: Some(self.complexity.complexity[c]),
            intra: Some(self.complexity.intra[c]),
            inter: Some(self.complexity.inter[c]),
        };
        (0..self.sizes.len()).map(told).collect()
    }

    fn bounds(&self) -> BoundsTold {
        let report = AllocationReport::new(&self.quotas, &self.share, &self.least, &self.sizes);
        BoundsTold {
            clusters_at_minimum: report.at_least,
            clusters_kept_whole: report.at_most,
            moved_by_bounds: report.moved,
            share_spread: Some(report.spread),
        }
    }
}
