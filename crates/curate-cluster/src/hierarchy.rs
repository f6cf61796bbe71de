//! Hierarchical k-means with resampling, and balanced sampling from it (Vo et al. 2024, "Automatic
//! data curation for self-supervised learning", arXiv 2405.15613).

use curate_core::{
    EmbeddingSource, ParamsError, Progress, SampleId, embedding::RowsOf, params::Checker, random,
    rank::better_first,
};
use curate_kernels::Engine;

use crate::{
    Assignment, ClusterError, Clustering, KMeans, KMeansParams, Metric, assign_on,
    assignment::check_length, init,
};

/// Which rows stand for a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// Those nearest to the centroid, ties to the smaller id.
    #[default]
    Closest,
    /// By a hash of the seed and the id.
    Random,
}

/// One level of a hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Number of clusters.
    pub clusters: usize,
    /// Rounds of resampling: take some rows of each cluster, cluster those, assign all rows again.
    /// Flattens the density, so that frequent concepts get fewer clusters. The paper uses 10.
    pub rounds: usize,
    /// Rows of each cluster in a sample; about half the mean size of a cluster in the paper.
    pub rows_per_cluster: usize,
    /// Which rows of each cluster make up a sample.
    pub choice: Choice,
}

impl Level {
    /// A level without resampling.
    pub fn new(clusters: usize) -> Self {
        Self { clusters, rounds: 0, rows_per_cluster: 1, choice: Choice::default() }
    }

    /// So many rounds of resampling, each with the `rows_per_cluster` closest rows.
    pub fn resampled(self, rounds: usize, rows_per_cluster: usize) -> Self {
        Self { rounds, rows_per_cluster, ..self }
    }
}

/// Parameters of hierarchical k-means; [`HierarchyParams::check`] makes them usable.
#[derive(Clone, Debug, PartialEq)]
pub struct HierarchyParams {
    k_means: KMeansParams,
    levels: Vec<Level>,
}

impl HierarchyParams {
    /// The first level clusters the rows, each other level the centroids of the one before, with
    /// no weights. `k_means` is how each level is clustered; its number of clusters is not used.
    pub fn new(k_means: KMeansParams, levels: Vec<Level>) -> Self {
        Self { k_means, levels }
    }

    /// The method, if every parameter is in range.
    ///
    /// # Errors
    /// Every violation.
    pub fn check(self) -> Result<HierarchicalKMeans, ParamsError> {
        let mut check = Checker::default();
        check.that(!self.levels.is_empty(), "levels", 0, "at least one level");
        for level in &self.levels {
            let rows = level.rows_per_cluster;
            check.that(rows > 0, "levels.rows_per_cluster", rows, "at least 1");
        }
        for pair in self.levels.windows(2) {
            let fewer = pair[1].clusters <= pair[0].clusters;
            let allowed = "at most the clusters of the level before";
            check.that(fewer, "levels.clusters", pair[1].clusters, allowed);
        }
        let mut k_means = Vec::new();
        for level in &self.levels {
            match self.k_means.clone().clusters(level.clusters).check() {
                Ok(valid) => k_means.push(valid),
                Err(error) => {
                    for v in error.violations {
                        check.that(false, v.field, v.value, v.allowed);
                    }
                }
            }
        }
        check.finish()?;
        Ok(HierarchicalKMeans { k_means, levels: self.levels })
    }
}

/// Hierarchical k-means with valid parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct HierarchicalKMeans {
    k_means: Vec<KMeans>,
    levels: Vec<Level>,
}

impl HierarchicalKMeans {
    /// Clusters the rows of `source` level by level; `ids` has one id a row.
    ///
    /// # Errors
    /// When a level has fewer rows than clusters, a row is not finite, rows cannot be read, or the
    /// caller cancels.
    pub fn fit<S: EmbeddingSource + ?Sized>(
        &self,
        source: &S,
        ids: &[SampleId],
        progress: &dyn Progress,
    ) -> Result<Hierarchy, ClusterError> {
        self.fit_on(None, source, ids, progress)
    }

    /// [`Self::fit`] with nearest centroids searched on `engine`; on the native kernels when there
    /// is none.
    ///
    /// # Errors
    /// As [`Self::fit`], and when the engine fails.
    pub fn fit_on<S: EmbeddingSource + ?Sized>(
        &self,
        engine: Option<&dyn Engine>,
        source: &S,
        ids: &[SampleId],
        progress: &dyn Progress,
    ) -> Result<Hierarchy, ClusterError> {
        let mut levels: Vec<Clustering> = Vec::new();
        for number in 0..self.levels.len() {
            let fitted = match levels.last() {
                None => self.fit_level(engine, number, source, ids, progress)?,
                Some(below) => {
                    let ids: Vec<SampleId> = (0..below.k() as u128).map(SampleId).collect();
                    self.fit_level(engine, number, &below.centroids.view(), &ids, progress)?
                }
            };
            levels.push(fitted);
        }
        Ok(Hierarchy { levels })
    }

    fn fit_level<S: EmbeddingSource + ?Sized>(
        &self,
        engine: Option<&dyn Engine>,
        number: usize,
        source: &S,
        ids: &[SampleId],
        progress: &dyn Progress,
    ) -> Result<Clustering, ClusterError> {
        let level = self.levels[number];
        let round = |round: usize| {
            let k_means = &self.k_means[number];
            let seed = random::derive(k_means.seed(), &format!("level {number} round {round}"));
            k_means.params().clone().seed(seed).check().expect("checked but for its seed")
        };
        let mut fitted = round(0).fit_on(engine, source, ids, progress)?;
        for r in 1..=level.rounds {
            let k_means = round(r);
            let mut sample: Vec<usize> = fitted
                .assignment
                .members()
                .into_iter()
                .flat_map(|rows| {
                    let a = &fitted.assignment;
                    choose(
                        rows,
                        level.rows_per_cluster,
                        level.choice,
                        a,
                        fitted.metric,
                        ids,
                        k_means.seed(),
                    )
                })
                .collect();
            sample.sort_unstable();
            if sample.len() < level.clusters {
                break;
            }
            let sample_ids: Vec<SampleId> = sample.iter().map(|&row| ids[row]).collect();
            let again =
                k_means.fit_on(engine, &RowsOf::new(source, &sample), &sample_ids, progress)?;
            let assignment =
                assign_on(engine, again.centroids.view(), again.metric, source, progress)?;
            fitted = Clustering { assignment, ..again };
        }
        Ok(fitted)
    }
}

/// The `count` rows that stand for a cluster, the first one first.
fn choose(
    mut rows: Vec<usize>,
    count: usize,
    choice: Choice,
    assignment: &Assignment,
    metric: Metric,
    ids: &[SampleId],
    seed: u64,
) -> Vec<usize> {
    match choice {
        Choice::Closest => rows.sort_by(|&a, &b| {
            better_first(assignment.nearness()[a], assignment.nearness()[b], metric.nearer())
                .then_with(|| ids[a].cmp(&ids[b]))
        }),
        Choice::Random => {
            rows.sort_by_cached_key(|&row| (random::hash(seed, ids[row]), ids[row]));
        }
    }
    rows.truncate(count);
    rows
}

/// A fitted hierarchy.
#[derive(Clone, Debug, PartialEq)]
pub struct Hierarchy {
    levels: Vec<Clustering>,
}

impl Hierarchy {
    /// The clusterings, that of the rows first; each other one clusters the centroids of the one
    /// before. There is at least one.
    pub fn levels(&self) -> &[Clustering] {
        &self.levels
    }

    /// The cluster of each row at a level (0 is the finest).
    ///
    /// # Errors
    /// When there is no such level.
    pub fn clusters_at(&self, level: usize) -> Result<Vec<u32>, ClusterError> {
        let Some(path) = self.levels.get(..=level) else {
            return Err(ClusterError::NoSuchLevel { level, levels: self.levels.len() });
        };
        let mut clusters = path[0].assignment.cluster().to_vec();
        for above in &path[1..] {
            clusters.iter_mut().for_each(|c| *c = above.assignment.cluster()[*c as usize]);
        }
        Ok(clusters)
    }

    /// `target` rows, ascending, spread evenly over the hierarchy: the target is split over the
    /// clusters of the highest level as evenly as their numbers of rows allow, each share over the
    /// clusters below, and the shares of the finest clusters are filled by `choice`. All rows when
    /// there are no more than `target`.
    ///
    /// # Errors
    /// When there is not one id for each row.
    pub fn sample(
        &self,
        target: usize,
        ids: &[SampleId],
        choice: Choice,
        seed: u64,
    ) -> Result<Vec<usize>, ClusterError> {
        let finest = &self.levels[0];
        check_length("ids", ids.len(), finest.assignment.rows())?;
        let mut rows = vec![finest.sizes()];
        for above in &self.levels[1..] {
            let mut sum = vec![0; above.k()];
            for (&cluster, below) in above.assignment.cluster().iter().zip(&rows[rows.len() - 1]) {
                sum[cluster as usize] += below;
            }
            rows.push(sum);
        }
        let seed = random::derive(seed, "hierarchical sample");
        let top = self.levels.len() - 1;
        let mut quotas = water_fill(&rows[top], target, random::derive(seed, "top"));
        for level in (0..top).rev() {
            let children = self.levels[level + 1].assignment.members();
            let mut below = vec![0; rows[level].len()];
            for (parent, children) in children.iter().enumerate() {
                let sizes: Vec<usize> = children.iter().map(|&c| rows[level][c]).collect();
                let seed = random::derive(seed, &format!("level {level} of {parent}"));
                let shares = water_fill(&sizes, quotas[parent], seed);
                children.iter().zip(shares).for_each(|(&c, share)| below[c] = share);
            }
            quotas = below;
        }
        let members = finest.assignment.members();
        let mut sample: Vec<usize> = members
            .into_iter()
            .zip(quotas)
            .flat_map(|(rows, quota)| {
                choose(rows, quota, choice, &finest.assignment, finest.metric, ids, seed)
            })
            .collect();
        sample.sort_unstable();
        Ok(sample)
    }
}

/// Splits `target` as evenly as `sizes` allow: the largest cap with `sum(min(cap, size)) <=
/// target`, and one more for some clusters above the cap, drawn at random, so that the sum is
/// `min(target, sum(sizes))`.
pub(crate) fn water_fill(sizes: &[usize], target: usize, seed: u64) -> Vec<usize> {
    let filled = |cap: usize| sizes.iter().map(|&size| size.min(cap)).sum::<usize>();
    let (mut cap, mut above) = (0, sizes.iter().copied().max().unwrap_or(0) + 1);
    while above - cap > 1 {
        let middle = cap + (above - cap) / 2;
        if filled(middle) <= target {
            cap = middle;
        } else {
            above = middle;
        }
    }
    let mut shares: Vec<usize> = sizes.iter().map(|&size| size.min(cap)).collect();
    let rest = target - filled(cap);
    let larger: Vec<SampleId> =
        (0..sizes.len()).filter(|&c| sizes[c] > cap).map(|c| SampleId(c as u128)).collect();
    for i in init::smallest_hashes(&larger, rest.min(larger.len()), seed) {
        shares[larger[i].0 as usize] += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use curate_core::{NoProgress, embedding};
    use ndarray::Array2;
    use proptest::prelude::*;

    use super::*;
    use crate::Init;

    fn ids(n: usize) -> Vec<SampleId> {
        (0..n as u128).map(|i| SampleId(i * 13 + 1)).collect()
    }

    /// One direction with nine tenths of the rows, and nine rare ones.
    fn skewed(n: usize, dim: usize) -> (Array2<f32>, Vec<usize>) {
        let group: Vec<usize> =
            (0..n).map(|i| if i % 10 == 0 { 1 + i / 10 % 9 } else { 0 }).collect();
        let mut rows = Array2::from_shape_fn((n, dim), |(i, t)| {
            let noise = random::unit(6, SampleId((i * dim + t) as u128)) as f32 - 0.5;
            f32::from(t == group[i]) + 0.3 * noise
        });
        rows.rows_mut()
            .into_iter()
            .for_each(|mut row| embedding::normalize(row.as_slice_mut().unwrap()));
        (rows, group)
    }

    fn params(levels: Vec<Level>) -> HierarchyParams {
        let k_means = KMeansParams::new(1).init(Init::PlusPlus).iterations(20).seed(4);
        HierarchyParams::new(k_means, levels)
    }

    #[test]
    fn a_sample_from_the_hierarchy_covers_rare_concepts_better_than_chance() {
        let (rows, group) = skewed(2_000, 12);
        let levels = vec![Level::new(100).resampled(3, 4), Level::new(10).resampled(2, 3)];
        let fitted =
            params(levels).check().unwrap().fit(&rows.view(), &ids(2_000), &NoProgress).unwrap();
        let sizes: Vec<_> = fitted.levels.iter().map(Clustering::k).collect();
        assert_eq!(sizes, [100, 10]);
        for choice in [Choice::Closest, Choice::Random] {
            let sample = fitted.sample(200, &ids(2_000), choice, 1).unwrap();
            assert_eq!(sample.len(), 200);
            assert!(sample.windows(2).all(|w| w[0] < w[1]));
            let rare = sample.iter().filter(|&&row| group[row] > 0).count();
            assert!(rare > 80, "{rare} of 200 are rare; by chance 20 would be");
        }
        let top = fitted.clusters_at(1).unwrap();
        for (row, &cluster) in fitted.levels[0].assignment.cluster().iter().enumerate() {
            assert_eq!(top[row], fitted.levels[1].assignment.cluster()[cluster as usize]);
        }
    }

    #[test]
    fn threads_do_not_change_a_byte() {
        let (rows, _) = skewed(600, 12);
        let levels = vec![Level::new(40).resampled(2, 5), Level::new(7)];
        let hierarchy = params(levels).check().unwrap();
        let fit = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| hierarchy.fit(&rows.view(), &ids(600), &NoProgress).unwrap())
        };
        let one = fit(1);
        assert_eq!(one, fit(2));
        assert_eq!(one, fit(7));
    }

    #[test]
    fn the_closest_rows_come_first_and_ties_go_to_the_smaller_id() {
        let assignment = Assignment::new(1, vec![0; 4], vec![0.2, 0.9, 0.9, 0.5]).unwrap();
        let names = [4, 3, 2, 1].map(SampleId);
        let closest =
            |metric| choose(vec![0, 1, 2, 3], 3, Choice::Closest, &assignment, metric, &names, 0);
        assert_eq!(closest(Metric::Spherical), [2, 1, 3]);
        assert_eq!(closest(Metric::Euclidean), [0, 3, 2]);
    }

    #[test]
    fn wrong_levels_are_named() {
        let fields = |levels: Vec<Level>| {
            let error = params(levels).check().unwrap_err();
            error.violations.into_iter().map(|v| v.field).collect::<Vec<_>>()
        };
        assert_eq!(fields(vec![]), ["levels"]);
        assert_eq!(fields(vec![Level::new(5), Level::new(6)]), ["levels.clusters"]);
        assert_eq!(
            fields(vec![Level::new(0).resampled(1, 0)]),
            ["levels.rows_per_cluster", "clusters"]
        );
        let few = params(vec![Level::new(3)]).check().unwrap();
        let error = few.fit(&Array2::zeros((2, 2)).view(), &ids(2), &NoProgress).unwrap_err();
        assert!(matches!(error, ClusterError::TooFewRows { clusters: 3, rows: 2 }));
    }

    #[test]
    fn a_hand_computed_split() {
        assert_eq!(water_fill(&[1, 10, 3], 8, 0), [1, 4, 3]);
        assert_eq!(water_fill(&[1, 10, 3], 100, 0), [1, 10, 3]);
        assert_eq!(water_fill(&[5, 5], 0, 0), [0, 0]);
        assert_eq!(water_fill(&[], 4, 0), Vec::<usize>::new());
        let shares = water_fill(&[5, 0, 5, 5], 7, 3);
        assert_eq!((shares.iter().sum::<usize>(), shares[1]), (7, 0));
    }

    proptest! {
        #[test]
        fn shares_are_exact_fit_and_are_as_even_as_sizes_allow(
            sizes in prop::collection::vec(0_usize..50, 0..40),
            target in 0_usize..2_500,
            seed in any::<u64>(),
        ) {
            let shares = water_fill(&sizes, target, seed);
            let total: usize = sizes.iter().sum();
            prop_assert_eq!(shares.iter().sum::<usize>(), target.min(total));
            let most = shares.iter().copied().max().unwrap_or(0);
            for (share, size) in shares.iter().zip(&sizes) {
                prop_assert!(share <= size);
                // Whoever gets two fewer than another had no more to give.
                prop_assert!(share == size || share + 1 >= most);
            }
        }
    }
}
