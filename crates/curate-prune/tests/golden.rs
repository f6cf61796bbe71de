//! Concept-complexity pruning against what the published code computed and the exact optimum
//! (`fixtures/dedup_prune`).

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{fs::File, path::PathBuf};

use curate_cluster::{Assignment, Clustering, Metric, Preference};
use curate_core::{SampleId, rank::fraction_of};
use curate_prune::{Complexity, Pick, allocate, farthest_first, lower_bounds, select, softmax};
use ndarray::{Array1, Array2, ArrayD, Ix1};
use ndarray_npy::{NpzReader, ReadableElement};

const RATIOS: [&str; 3] = ["0.2", "0.5", "0.8"];

/// The whole pool, and the pool that deduplication left; with the temperatures, ratios and balances
/// that the fixture holds for each.
type Case = (
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);
const CASES: [Case; 2] = [
    ("", "dbp", &["0.1", "0.5"], &RATIOS, &["0.0", "0.5"]),
    ("chain_", "chain", &["0.1"], &["0.3", "0.6"], &["0.0"]),
];

struct Golden(NpzReader<File>);

impl Golden {
    fn open() -> Self {
        let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "..", "fixtures", "dedup_prune"]
            .iter()
            .collect::<PathBuf>()
            .join("main_5000x64.npz");
        Self(NpzReader::new(File::open(path).unwrap()).unwrap())
    }

    fn array<T: ReadableElement>(&mut self, name: &str) -> Array1<T> {
        let array: ArrayD<T> = self.0.by_name(name).unwrap();
        array.into_dimensionality::<Ix1>().unwrap()
    }

    fn numbers(&mut self, name: &str) -> Vec<usize> {
        self.array::<i64>(name).iter().map(|&x| usize::try_from(x).unwrap()).collect()
    }

    fn floats(&mut self, name: &str) -> Vec<f64> {
        self.array::<f32>(name).iter().map(|&x| f64::from(x)).collect()
    }

    /// Centroids and assignment of the whole pool (`""`) or of the deduplicated one (`"chain_"`).
    fn clustering(&mut self, prefix: &str) -> Clustering {
        let cluster = self.numbers(&format!("{prefix}assignment"));
        let nearness = self.array::<f32>(&format!("{prefix}sim_to_centroid")).to_vec();
        let centroids: Array2<f32> = self.0.by_name(&format!("{prefix}centroids")).unwrap();
        let cluster = cluster.iter().map(|&c| c as u32).collect();
        let assignment = Assignment::new(centroids.nrows(), cluster, nearness).unwrap();
        Clustering {
            centroids,
            metric: Metric::Spherical,
            assignment,
            objective: vec![],
            converged: true,
            reseeded: 0,
            ruled: Default::default(),
        }
    }
}

fn close(ours: &[f64], theirs: &[f64], tolerance: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (j, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{what}[{j}]: {a} for {b}");
    }
}

fn relative(ours: &[f64], theirs: &[f64], what: &str) {
    for (j, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= 1e-6 * b.abs(), "{what}[{j}]: {a} for {b}");
    }
}

#[test]
fn complexity_shares_quotas_and_kept_rows_are_the_golden_ones() {
    let mut golden = Golden::open();
    for (prefix, tag, temperatures, ratios, balances) in CASES {
        let clustering = golden.clustering(prefix);
        let assignment = &clustering.assignment;
        let n = assignment.rows();
        let sizes = assignment.sizes();
        assert_eq!(sizes, golden.numbers(&format!("{tag}_cluster_size")));
        let found = Complexity::new(&clustering, 20).unwrap();
        relative(&found.intra, &golden.floats(&format!("{tag}_d_intra")), "d_intra");
        relative(&found.inter, &golden.floats(&format!("{tag}_d_inter")), "d_inter");
        relative(&found.complexity, &golden.floats(&format!("{tag}_complexity")), "complexity");

        let ids: Vec<SampleId> = (0..n as u128).map(SampleId).collect();
        let order = clustering.order(Preference::Hard, &ids, 0).unwrap();
        let original = match prefix {
            "" => (0..n).collect(),
            _ => golden.numbers("chain_ids"),
        };
        for temperature in temperatures {
            let given = golden.floats(&format!("{tag}_prob_T{temperature}"));
            let share = softmax(&found.complexity, temperature.parse().unwrap()).unwrap();
            close(&share, &given, 1e-6, "share");
            for ratio in ratios {
                for balance in balances {
                    let key = format!("{tag}_T{temperature}_r{ratio}_b{balance}");
                    let wanted = fraction_of(n, ratio.parse().unwrap());
                    let least = lower_bounds(wanted, balance.parse().unwrap(), &sizes);
                    let exact = golden.array::<f64>(&format!("{key}_target_exact")).to_vec();

                    let from_given = allocate(&given, wanted, &least, &sizes).unwrap();
                    close(&from_given.exact, &exact, 1e-6, &key);
                    let from_ours = allocate(&share, wanted, &least, &sizes).unwrap();
                    close(&from_ours.exact, &exact, 1e-4, &key);
                    assert_eq!(
                        from_ours.counts,
                        golden.numbers(&format!("{key}_target_lr")),
                        "{key}"
                    );
                    for (ours, osqp) in
                        from_ours.counts.iter().zip(golden.numbers(&format!("{key}_target_osqp")))
                    {
                        assert!(ours.abs_diff(osqp) <= 1, "{key}: {ours} for {osqp}");
                    }
                    let kept: Vec<usize> = select(&order, &from_ours.counts, Pick::First)
                        .unwrap()
                        .iter()
                        .map(|&row| original[row])
                        .collect();
                    assert_eq!(kept, golden.numbers(&format!("{key}_kept_lr")), "{key}");
                }
            }
        }
    }
}

#[test]
fn farthest_first_is_the_golden_ssp() {
    let mut golden = Golden::open();
    let distances = golden.clustering("").assignment.distances(Metric::Spherical);
    let ids: Vec<SampleId> = (0..distances.len() as u128).map(SampleId).collect();
    for ratio in RATIOS {
        let count = fraction_of(distances.len(), ratio.parse().unwrap());
        let kept = farthest_first(&distances, &ids, count).unwrap();
        assert_eq!(kept, golden.numbers(&format!("ssp_global_r{ratio}")), "{ratio}");
    }
}
