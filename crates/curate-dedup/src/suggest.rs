//! How many clusters and which epsilon, with the reason.

use std::fmt::Write as _;

use curate_cluster::{KMeansParams, Ordered};
use curate_core::{
    Cut, ParamsError, SampleId, random,
    rank::{fraction_of, similarity_threshold},
};

/// A number of clusters for semantic deduplication.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterSuggestion {
    /// The number of clusters.
    pub clusters: usize,
    /// Floating-point operations of clustering and comparing.
    pub operations: f64,
    /// Bytes for centroids, their sums and one cluster of the mean size.
    pub bytes: f64,
    /// Why, in words.
    pub reason: String,
}

/// The cheapest number of clusters for `rows` vectors of length `dim` that needs at most `memory`
/// bytes, from 1 to `rows`.
///
/// More clusters cost more to find ([`KMeans::cost`](curate_cluster::KMeans::cost) of `k_means` with
/// that many) and leave fewer pairs to compare: `n^2 d / k` operations inside clusters of the mean
/// size. With `i` iterations over all rows the sum is least near `sqrt(n / (2 (i + 1)))`. Besides the
/// centroids the rows of a cluster and their packed copy are held, `8 d n / k` bytes.
///
/// Clusters differ in size, so the pairs are a lower bound: multiply them by the imbalance that a
/// clustering reports. More clusters also split more duplicates from each other: measure
/// [`crate::Duplicates::recall`].
///
/// # Errors
/// When a parameter of `k_means` is out of range.
pub fn suggest_clusters(
    rows: usize,
    dim: usize,
    k_means: &KMeansParams,
    memory: u64,
) -> Result<ClusterSuggestion, ParamsError> {
    let (n, d) = (rows as f64, dim as f64);
    k_means.clone().clusters(1).check()?;
    let cost = |k: usize| {
        let k_means = k_means.clone().clusters(k).check();
        k_means
            .expect("checked but for the number of clusters, which is at least 1")
            .cost(rows, dim)
    };
    let operations = |k: usize| cost(k).operations + n * n * d / k as f64;
    let bytes = |k: usize| cost(k).centroids + 8.0 * d * n / k as f64;
    let candidates = round_numbers(rows.max(1));
    let fits = |&&k: &&usize| bytes(k) <= memory as f64;
    let by = |cost: &dyn Fn(usize) -> f64, a: usize, b: usize| {
        cost(a).total_cmp(&cost(b)).then(a.cmp(&b))
    };
    let cheapest = candidates.iter().copied().min_by(|&a, &b| by(&operations, a, b)).unwrap_or(1);
    let fitting = candidates.iter().filter(fits).copied().min_by(|&a, &b| by(&operations, a, b));
    let smallest = candidates.iter().copied().min_by(|&a, &b| by(&bytes, a, b)).unwrap_or(1);
    let clusters = fitting.unwrap_or(smallest);
    let mut reason = format!(
        "{clusters} clusters of about {} rows: {:.1e} operations and {:.0} MB",
        rows.div_ceil(clusters),
        operations(clusters),
        bytes(clusters) / 1e6
    );
    let _ = match fitting {
        Some(_) if clusters == cheapest => write!(reason, ", the fewest operations of all"),
        Some(_) => write!(
            reason,
            "; {cheapest} would take fewer operations but {:.0} MB, above the limit of {:.0} MB",
            bytes(cheapest) / 1e6,
            memory as f64 / 1e6
        ),
        None => write!(
            reason,
            ", the least memory of all, but above the limit of {:.0} MB",
            memory as f64 / 1e6
        ),
    };
    let (operations, bytes) = (operations(clusters), bytes(clusters));
    Ok(ClusterSuggestion { clusters, operations, bytes, reason })
}

/// 1, 2, …, 10, 12, 15, 20, 25, …: numbers people choose, up to `most`, and `most` itself.
fn round_numbers(most: usize) -> Vec<usize> {
    let mut numbers = Vec::new();
    let mut power = 1_usize;
    while power <= most {
        let tenths: &[usize] = &[10, 12, 15, 20, 25, 30, 40, 50, 60, 70, 80, 90];
        let exact = |tenth: &usize| (tenth * power).is_multiple_of(10);
        numbers.extend(tenths.iter().filter(|t| exact(t)).map(|tenth| tenth * power / 10));
        power = power.saturating_mul(10);
    }
    numbers.retain(|&k| k <= most);
    numbers.push(most);
    numbers.dedup();
    numbers
}

/// An epsilon for a wanted share of rows.
#[derive(Clone, Debug, PartialEq)]
pub struct EpsilonSuggestion {
    /// The epsilon.
    pub epsilon: f64,
    /// The share of the rows given that it keeps.
    pub kept: f64,
    /// The share that every epsilon of a grid keeps, by rising epsilon.
    pub curve: Vec<(f64, f64)>,
    /// Why, in words.
    pub reason: String,
}

/// The epsilon that keeps a share `fraction` of the rows whose largest similarities to a preferred
/// row are given ([`crate::Duplicates::similarities`]); `None` without rows.
///
/// Because the published rule is not greedy, a row's similarity does not depend on epsilon, so the
/// epsilon is an order statistic. On a sample of whole clusters ([`sample_clusters`]) the share is
/// that of the pool up to the sampling error; a sample of single rows would miss most duplicates.
/// Where rows tie at the threshold all of them are kept; [`Cut::Top`] cuts through ties.
///
/// # Errors
/// When the fraction lies outside `[0, 1]`.
pub fn suggest_epsilon(
    similarity: &[f32],
    fraction: f64,
) -> Result<Option<EpsilonSuggestion>, ParamsError> {
    Cut::Fraction(fraction).check()?;
    let mut sorted: Vec<f32> = similarity.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let kept = fraction_of(sorted.len(), fraction).max(1).min(sorted.len());
    let Some(last) = kept.checked_sub(1) else { return Ok(None) };
    let share = |epsilon: f64| {
        let threshold = similarity_threshold(epsilon);
        sorted.partition_point(|&s| s <= threshold) as f64 / sorted.len() as f64
    };
    // The similarity 1.0000001 of a copy is rounding; an epsilon below 0 would mean nothing.
    let epsilon = (1.0 - f64::from(sorted[last])).max(0.0);
    let kept = share(epsilon);
    let grid = [0.0, 0.001, 0.003, 0.01, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0];
    let curve: Vec<(f64, f64)> = grid.map(|epsilon| (epsilon, share(epsilon))).to_vec();
    let reason = format!(
        "of {} rows, {:.1} % have no preferred row above a similarity of {:.4}; {:.1} % were wanted",
        sorted.len(),
        100.0 * kept,
        similarity_threshold(epsilon),
        100.0 * fraction
    );
    Ok(Some(EpsilonSuggestion { epsilon, kept, curve, reason }))
}

/// Whole clusters with at least `rows` rows together (all clusters when there are fewer), drawn by a
/// hash of the seed and the cluster's number; the other clusters become empty.
pub fn sample_clusters(order: &Ordered, rows: usize, seed: u64) -> Ordered {
    let seed = random::derive(seed, "sample clusters");
    let mut drawn: Vec<usize> = (0..order.k()).collect();
    drawn.sort_by_cached_key(|&c| (random::hash(seed, SampleId(c as u128)), c));
    let mut taken = vec![false; order.k()];
    let mut sum = 0;
    for c in drawn {
        if sum >= rows {
            break;
        }
        sum += order.clusters()[c].len();
        taken[c] = true;
    }
    order.only(|c| taken[c])
}

#[cfg(test)]
mod tests {
    use curate_core::rank::Direction;

    use super::*;

    #[test]
    fn the_number_of_clusters_grows_like_the_square_root_of_the_rows() {
        let params = KMeansParams::default().iterations(25);
        let suggest =
            |rows, params: &KMeansParams| suggest_clusters(rows, 512, params, u64::MAX).unwrap();
        let k = |rows| suggest(rows, &params).clusters as f64;
        for rows in [10_000, 1_000_000, 100_000_000] {
            let expected = (rows as f64 / 52.0).sqrt();
            assert!((k(rows) / expected).ln().abs() < 0.2, "{} for {expected}", k(rows));
        }
        // Training on a sample makes clusters cheaper, so there are more of them.
        let sampled = suggest(100_000_000, &params.clone().train_rows_per_cluster(Some(256)));
        assert!(sampled.clusters as f64 > 3.0 * k(100_000_000), "{}", sampled.reason);
        assert!(sampled.reason.contains("the fewest operations"));
    }

    #[test]
    fn no_round_number_is_cheaper_and_memory_is_respected() {
        let params = KMeansParams::default();
        let suggest = |rows, dim, params: &KMeansParams, memory| {
            suggest_clusters(rows, dim, params, memory).unwrap()
        };
        let sampled = params.clone().train_rows_per_cluster(Some(256));
        let free = suggest(2_000_000, 512, &sampled, u64::MAX);
        for k in round_numbers(2_000_000) {
            let n = 2e6_f64;
            let cost =
                1024.0 * k as f64 * (50.0 * n.min(256.0 * k as f64) + n) + n * n * 512.0 / k as f64;
            assert!(cost >= free.operations, "{k}");
        }
        let tight = suggest(2_000_000, 512, &params, 30_000_000);
        assert!(tight.bytes <= 30e6 && tight.reason.contains("above the limit"), "{tight:?}");
        let none = suggest(2_000_000, 512, &params, 10);
        assert!(none.reason.contains("least memory of all, but above"), "{}", none.reason);
        assert_eq!(suggest(0, 4, &params, 1).clusters, 1);
        assert!(suggest_clusters(9, 4, &params.clone().iterations(0), 1).is_err());
        assert_eq!(suggest(1, 4, &params, u64::MAX).clusters, 1);
    }

    #[test]
    fn the_epsilon_keeps_what_was_wanted_through_the_rule_itself() {
        let similarity: Vec<f32> = (0..1_000).map(|i| (i * 377 % 1_000) as f32 / 1_000.0).collect();
        let ids: Vec<SampleId> = (0..1_000).map(SampleId).collect();
        for fraction in [0.001, 0.29, 0.5, 0.813, 1.0] {
            let suggested = suggest_epsilon(&similarity, fraction).unwrap().unwrap();
            let cut = Cut::Epsilon(suggested.epsilon);
            let count = cut.apply(&similarity, &ids, Direction::LowerIsBetter).unwrap().kept.len();
            assert_eq!(count, fraction_of(1_000, fraction), "{}", suggested.reason);
            assert_eq!(suggested.kept, count as f64 / 1_000.0);
            assert!(suggested.curve.windows(2).all(|w| w[0].1 >= w[1].1));
        }
        assert_eq!(suggest_epsilon(&[], 0.5), Ok(None));
        assert!(suggest_epsilon(&[0.5], 1.5).is_err());
        let copies = suggest_epsilon(&[0.0, 1.000_000_1], 1.0).unwrap().unwrap();
        assert_eq!((copies.epsilon, copies.kept), (0.0, 0.5));
    }

    #[test]
    fn a_sample_has_whole_clusters() {
        let clusters: Vec<Vec<usize>> = (0..20).map(|c| vec![2 * c, 2 * c + 1]).collect();
        let order = Ordered::from_clusters(clusters, 40).unwrap();
        let sample = sample_clusters(&order, 9, 3);
        let taken: Vec<_> = (0..20).filter(|&c| !sample.clusters()[c].is_empty()).collect();
        assert_eq!(taken.len(), 5);
        assert!(taken.iter().all(|&c| sample.clusters()[c] == order.clusters()[c]));
        assert_eq!(sample_clusters(&order, 1_000, 3), order);
    }
}
