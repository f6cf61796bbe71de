//! Clusters as a stage of their own, which later stages share.

use std::path::{Path, PathBuf};

use curate_cluster::Clusters;
use curate_core::{Rows, Selection, fault::NormPolicy};
use curate_device::DeviceName;
use curate_io::Pool;
use curate_report::{Histogram, Role, Section};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::shared::{
    alternative::{Alternative, ClusterMethod},
    by_id::{self, ById},
    clustering::{self, KMeansRecipe, KMeansTold, block_bytes, dim},
    given_clusters::{NO_CLUSTER, labels, of_centroids, of_labels},
};
use crate::{
    Error,
    error::StageError,
    page::Page,
    record::{Outcome, StageRecord},
    rows::StageRows,
    stage::{
        Context, Cost, Done, Gives, InClusters, Method, Origin, Problems, Reads, Settings, Source,
        Work, anchored, is_default, told,
    },
};

/// A stage that clusters rows, for later stages to share (`clusters-from`). Removes only rows that
/// cannot be clustered. Give `clusters` to cluster here, or clusters that are there: `centroids`, or
/// `assignment`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ClusterStage {
    /// The stage's name; later stages name the clusters by it.
    #[serde(default = "name")]
    pub name: String,
    /// The stage whose rows it takes; the one before if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The embedding that is clustered.
    pub embedding: String,
    /// How to cluster.
    #[serde(default, skip_serializing_if = "is_default")]
    pub method: ClusterMethod,
    /// Number of clusters, for `k-means` and `gaussian-mixture`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<usize>,
    /// The settings of `k-means`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub k_means: KMeansRecipe,
    /// For `dbscan`: rows whose cosine is above this are neighbors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosine: Option<f32>,
    /// For `dbscan`: a row with so many neighbors, itself included, is the core of a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_points: Option<usize>,
    /// Centroids of another program, such as faiss: an npy file of f32, one a row. Each row of the
    /// pool goes to the nearest. A relative path starts at the recipe's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub centroids: Option<PathBuf>,
    /// Clusters of another program: a Parquet, CSV or JSON lines file with the number of each
    /// sample's cluster, counted from 0. Rows that it does not name, or gives a number below 0, have
    /// no cluster and are set aside. A relative path starts at the recipe's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignment: Option<PathBuf>,
    /// The column of `assignment` with the clusters' numbers.
    #[serde(default = "column", skip_serializing_if = "is_the_column")]
    pub column: String,
    /// The column of `assignment` that names samples; left out, the first that is there of `uid`,
    /// `key`, `image_path`, `url` and `id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_column: Option<String>,
    /// What to do with vectors whose length is not 1.
    #[serde(default)]
    pub norm: NormPolicy,
}

fn name() -> String {
    "cluster".to_owned()
}

fn column() -> String {
    "cluster".to_owned()
}

fn is_the_column(name: &String) -> bool {
    *name == column()
}

impl Settings for ClusterStage {
    fn name(&self) -> &str {
        &self.name
    }

    fn sources(&self) -> Vec<Source<'_>> {
        Source::from(self.from.as_deref())
    }

    fn reads(&self) -> Reads<'_> {
        Reads {
            embeddings: vec![&self.embedding],
            files: self.centroids.iter().chain(&self.assignment).map(PathBuf::as_path).collect(),
            device: Some(self.k_means.device),
            ..Reads::default()
        }
    }

    fn gives(&self) -> Gives {
        Gives::Clusters
    }

    fn check(&self, wrong: &mut Problems) {
        match self.way() {
            Err(problem) => wrong.must(false, problem),
            Ok(Way::Other(other)) => other.check(wrong),
            Ok(_) => {}
        }
        let k_means = self.k_means.params().clusters(self.clusters.unwrap_or(1));
        if let Err(error) = k_means.check() {
            wrong.violations(&error, clustering::key);
        }
    }

    fn anchor(&mut self, folder: &Path) {
        let paths = self.centroids.iter_mut().chain(&mut self.assignment);
        paths.for_each(|path| *path = anchored(folder, path));
    }

    fn set_device(&mut self, device: DeviceName) {
        self.k_means.device = device;
    }

    fn resolve(&self) -> Result<Box<dyn Method>, StageError> {
        let way = self.way().map_err(|problem| StageError::Problem(problem.to_owned()))?;
        Ok(Box::new(Cluster { embedding: self.embedding.clone(), norm: self.norm, way }))
    }
}

impl ClusterStage {
    fn way(&self) -> Result<Way, &'static str> {
        match (&self.centroids, &self.assignment, self.clusters) {
            (Some(path), None, None) => Ok(Way::Centroids(path.clone())),
            (None, Some(path), None) if by_id::is_table(path) => Ok(Way::Assignment {
                path: path.clone(),
                column: self.column.clone(),
                id_column: self.id_column.clone(),
            }),
            (None, Some(_), None) => Err("`assignment` must be a .parquet, .csv or .jsonl file"),
            (None, None, clusters) => self.fitted(clusters),
            _ => Err("give one of `clusters`, `centroids` and `assignment`"),
        }
    }

    fn fitted(&self, clusters: Option<usize>) -> Result<Way, &'static str> {
        let dbscan = self.cosine.zip(self.min_points);
        let missing = "give `clusters`, or clusters that are there: `centroids` or `assignment`";
        match (self.method, clusters, dbscan) {
            (ClusterMethod::KMeans, Some(clusters), _) => {
                Ok(Way::KMeans { clusters, recipe: self.k_means.clone() })
            }
            (ClusterMethod::GaussianMixture, Some(clusters), _) => {
                Ok(Way::Other(Alternative::GaussianMixture { clusters }))
            }
            (ClusterMethod::Dbscan, None, Some((cosine, min_points))) => {
                Ok(Way::Other(Alternative::Dbscan { cosine, min_points }))
            }
            (ClusterMethod::Dbscan, ..) => Err(
                "`method = \"dbscan\"` needs `cosine` and `min-points`, and finds the number of clusters",
            ),
            (_, None, _) => Err(missing),
        }
    }
}

/// Where the clusters come from.
enum Way {
    KMeans {
        clusters: usize,
        recipe: KMeansRecipe,
    },
    Other(Alternative),
    /// A file of centroids.
    Centroids(PathBuf),
    /// A table by id with the number of each sample's cluster.
    Assignment {
        path: PathBuf,
        column: String,
        id_column: Option<String>,
    },
}

/// Clustering in one way.
struct Cluster {
    embedding: String,
    norm: NormPolicy,
    way: Way,
}

/// What a clustering tells.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ClusterTold {
    /// For an alternative or given clusters as well: their number, sizes and how uneven they are.
    k_means: KMeansTold,
    /// Rows in each cluster.
    sizes: Vec<usize>,
}

impl Method for Cluster {
    fn execute(&self, context: &Context<'_>) -> Result<Outcome, StageError> {
        let embedding = context.pool.embedding(&self.embedding)?;
        let given = context.rows(&embedding, &self.embedding, self.norm)?;
        let mut rows = StageRows::with_faults(context.input, given.faults());
        let clusters = self.cluster(&given, context)?;
        for row in given.usable().minus(clusters.rows()).iter() {
            rows.remove(context.input.position(row).expect("a row that was given"), NO_CLUSTER);
        }
        if clusters.rows().is_empty() {
            return Ok(Outcome::new(rows));
        }
        rows.cluster = vec![None; rows.rows.len()];
        let clustering = clusters.clustering();
        for (place, row) in clusters.rows().iter().enumerate() {
            let position = context.input.position(row).expect("a row that was given");
            rows.value.set(position, clustering.assignment.nearness()[place]);
            rows.cluster[position] = Some(clustering.assignment.cluster()[place]);
        }
        let told = ClusterTold { k_means: KMeansTold::of(clustering), sizes: clusters.sizes() };
        let centroids = clustering.centroids.clone();
        Ok(Outcome::new(rows).telling(&told).with_centroids(centroids))
    }

    fn work(&self) -> Work<'_> {
        let Way::KMeans { clusters, recipe } = &self.way else { return Work::Whole };
        if recipe.device != DeviceName::Cpu {
            return Work::Whole;
        }
        Work::InClusters(InClusters {
            embedding: &self.embedding,
            norm: self.norm,
            origin: Origin::Fit(*clusters, Box::new(recipe.params())),
            search: None,
        })
    }

    fn in_words(&self) -> String {
        let embedding = &self.embedding;
        let file = |path: &Path| {
            path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
        };
        match &self.way {
            Way::KMeans { clusters, .. } => {
                format!("put rows into {clusters} clusters of {embedding}")
            }
            Way::Other(other) => other.in_words(embedding),
            Way::Centroids(path) => {
                format!("put each row to the nearest centroid of {} in {embedding}", file(path))
            }
            Way::Assignment { path, .. } => format!("take the clusters of {}", file(path)),
        }
    }

    fn cost(&self, rows: usize, pool: &Pool) -> Result<Cost, Error> {
        let dim = dim(pool, &self.embedding)?;
        let bytes = |path: &Path| std::fs::metadata(path).map_or(0, |m| m.len());
        let passes = |passes: u64| 4 * passes * rows as u64 * dim;
        match &self.way {
            Way::KMeans { clusters, recipe } => recipe.cost(rows, *clusters, &self.embedding, pool),
            Way::Other(other) => Ok(other.cost(rows, dim)),
            Way::Centroids(path) => Ok(Cost {
                reads: passes(2) + bytes(path),
                memory: block_bytes(rows, dim) + bytes(path),
                operations: 2.0 * rows as f64 * (bytes(path) / 4) as f64,
            }),
            Way::Assignment { path, .. } => Ok(Cost {
                reads: passes(3) + bytes(path),
                memory: block_bytes(rows, dim) + by_id::BYTES_PER_ROW * rows as u64,
                operations: (passes(1) / 2) as f64,
            }),
        }
    }

    fn explain(&self, value: Option<f64>, _: Option<f64>) -> Option<String> {
        Some(format!("similarity {} to its centroid", told(value)))
    }

    fn report(&self, _: &Page<'_>, done: &Done<'_>) -> Result<Vec<Section>, Error> {
        let told: Option<ClusterTold> = done.record.told()?;
        let sizes: Vec<f32> =
            told.iter().flat_map(|told| &told.sizes).map(|&size| size as f32).collect();
        let series: [(&str, Role, &[f32]); 1] = [("clusters", Role::Kept, &sizes)];
        let histogram = Histogram {
            title: "Sizes of clusters".into(),
            x_label: "rows".into(),
            unit: "clusters".into(),
            when_empty: "There is no cluster.".into(),
            ..Histogram::of_values(48, &series)
        };
        let intro = format!("{} clusters, which later stages share.", sizes.len());
        let title = format!("Clusters ({})", done.record.name);
        Ok(vec![Section::new(title).intro(intro).block(histogram)])
    }

    fn notes(&self, record: &StageRecord) -> Result<Vec<String>, Error> {
        clustering::notes(record)
    }
}

impl Cluster {
    fn cluster(&self, rows: &Rows<'_>, context: &Context<'_>) -> Result<Clusters, StageError> {
        let usable = rows.usable();
        if usable.is_empty() {
            return Ok(Clusters::none(rows.dim()));
        }
        let clustering = match &self.way {
            Way::KMeans { clusters, recipe } => return recipe.fit(rows, *clusters, context),
            Way::Other(other) => other.fit(&rows.unit(), context)?,
            Way::Centroids(path) => of_centroids(path, &rows.unit(), context.progress)?,
            Way::Assignment { path, column, id_column } => {
                let id_column = id_column.as_deref();
                let table = ById { path, column, id_column, repeated: None };
                return assigned(&table, rows, context);
            }
        };
        Ok(Clusters::new(usable.clone(), clustering)?)
    }
}

/// The clusters that a table gives to rows; rows without one are in none.
fn assigned(
    table: &ById<'_>,
    rows: &Rows<'_>,
    context: &Context<'_>,
) -> Result<Clusters, StageError> {
    let labels = labels(table.path, &table.read(&rows.usable_ids())?.values.to_vec())?;
    let of = rows.usable().iter().zip(&labels);
    let known: Selection = of.filter_map(|(row, label)| label.is_some().then_some(row)).collect();
    let labels: Vec<u32> = labels.into_iter().flatten().collect();
    if labels.is_empty() {
        return Ok(Clusters::none(rows.dim()));
    }
    let rows = rows.only(&known)?;
    let clustering = of_labels(labels, &rows.unit(), context.progress)?;
    Ok(Clusters::new(known, clustering)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let mut wrong = Problems::default();
        let text = format!("embedding = \"img\"\n{text}");
        toml::from_str::<ClusterStage>(&text).unwrap().check(&mut wrong);
        wrong.0
    }

    #[test]
    fn one_way_to_the_clusters_is_asked_for() {
        for good in ["clusters = 3", "centroids = \"c.npy\"", "assignment = \"a.csv\""] {
            assert!(problems(good).is_empty(), "{good}: {:?}", problems(good));
        }
        let cases = [
            ("", "give `clusters`, or clusters that are there"),
            ("clusters = 3\ncentroids = \"c.npy\"", "give one of `clusters`, `centroids`"),
            ("assignment = \"a.npy\"", "`assignment` must be a .parquet, .csv"),
            ("method = \"dbscan\"\nclusters = 3", "`method = \"dbscan\"` needs `cosine`"),
            ("clusters = 0", "`clusters` must be from 1 to 2^32 - 1, not 0"),
        ];
        for (text, expected) in cases {
            assert!(problems(text)[0].starts_with(expected), "{text}: {:?}", problems(text));
        }
    }

    #[test]
    fn what_is_left_at_its_default_is_not_written() {
        let stage: ClusterStage = toml::from_str("embedding = \"img\"\nclusters = 3").unwrap();
        let written = toml::to_string(&stage).unwrap();
        assert!(!written.contains("column") && !written.contains("k-means"), "{written}");
        assert_eq!(toml::from_str::<ClusterStage>(&written).unwrap(), stage);
    }
}
