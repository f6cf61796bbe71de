//! What is wrong with what a function is given is an error that names it, never a panic and never an
//! answer.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::sync::Mutex;

use curate_cluster::{
    Assignment, Choice, ClusterError, Clustering, Hierarchy, HierarchyParams, KMeansParams, Level,
    Metric, Ordered, Preference, assign,
};
use curate_core::{NoProgress, Progress, SampleId, embedding, random, rank::Direction};
use ndarray::{Array2, array};

fn ids(n: usize) -> Vec<SampleId> {
    (0..n as u128).map(SampleId).collect()
}

fn unit_rows(n: usize) -> Array2<f32> {
    let mut rows = Array2::from_shape_fn((n, 5), |(i, t)| {
        random::unit(5, SampleId::from_halves(i as u64, t as u64)) as f32 - 0.5
    });
    rows.outer_iter_mut().for_each(|mut row| embedding::normalize(row.as_slice_mut().unwrap()));
    rows
}

fn complaint<T: std::fmt::Debug>(answer: Result<T, ClusterError>) -> String {
    answer.unwrap_err().to_string()
}

/// Every way to cluster, and what it is called.
fn every_way(
    rows: &Array2<f32>,
    ids: &[SampleId],
) -> Vec<(&'static str, Result<Clustering, ClusterError>)> {
    let few = KMeansParams::new(4).iterations(3);
    let by = |params: KMeansParams| params.check().unwrap().fit(&rows.view(), ids, &NoProgress);
    let levels = HierarchyParams::new(few.clone(), vec![Level::new(4).resampled(1, 5)]);
    let hierarchy = levels.check().unwrap().fit(&rows.view(), ids, &NoProgress);
    vec![
        ("lloyd", by(few.clone())),
        ("mini-batch", by(few.clone().batch_rows(Some(7)))),
        ("sample", by(few.train_rows_per_cluster(Some(3)))),
        ("hierarchy", hierarchy.map(|found| found.levels()[0].clone())),
    ]
}

#[test]
fn rows_of_another_length_are_refused_by_every_way_to_cluster_them() {
    for (factor, words) in [(27.0, "has length 27"), (0.5, "has length 0.5"), (f32::NAN, "NaN")] {
        // The row comes late, and training on a sample may not see it: the assignment does.
        let mut rows = unit_rows(60);
        rows.row_mut(53).mapv_inplace(|x| x * factor);
        for (way, answer) in every_way(&rows, &ids(60)) {
            let said = complaint(answer);
            assert!(said.contains("row 53") && said.contains(words), "{way}: {said}");
        }
        let centroids = unit_rows(3);
        let said =
            complaint(assign(centroids.view(), Metric::Spherical, &rows.view(), &NoProgress));
        assert!(said.contains("row 53") && said.contains(words), "{said}");
    }
    // A zero row has no direction, and no distance is wrong for it.
    let mut rows = unit_rows(60);
    rows.row_mut(53).fill(0.0);
    every_way(&rows, &ids(60)).into_iter().for_each(|(_, answer)| drop(answer.unwrap()));
    // Euclidean distances are for rows of any length.
    rows.row_mut(53).fill(9.0);
    let euclidean = KMeansParams::new(4).metric(Metric::Euclidean).check().unwrap();
    euclidean.fit(&rows.view(), &ids(60), &NoProgress).unwrap();
}

#[test]
fn lists_that_do_not_fit_the_rows_are_refused() {
    let rows = unit_rows(30);
    for n in [29, 31] {
        for (way, answer) in every_way(&rows, &ids(n)) {
            assert!(complaint(answer).contains(&format!("{n} ids for 30 rows")), "{way}");
        }
    }
    let found = every_way(&rows, &ids(30)).remove(0).1.unwrap();
    let said = complaint(found.order(Preference::Easy, &ids(29), 0));
    assert!(said.contains("29 entries of `ids` for 30 rows"), "{said}");
    let said =
        complaint(found.order_by_score(&vec![0.0; 31].into(), Direction::LowerIsBetter, &ids(30)));
    assert!(said.contains("31 entries of `scores` for 30 rows"), "{said}");
    let said = complaint(Assignment::new(4, vec![0, 4], vec![0.0; 2]));
    assert!(said.contains("row 1 is in cluster 4 of 4"), "{said}");
    let said = complaint(Ordered::from_clusters(vec![vec![0], vec![0]], 3));
    assert!(said.contains("row 0 of 3 again"), "{said}");
}

#[test]
fn centroids_that_do_not_fit_the_rows_are_refused() {
    let rows = unit_rows(10);
    let with = |centroids: Array2<f32>, metric| {
        complaint(assign(centroids.view(), metric, &rows.view(), &NoProgress))
    };
    assert!(with(unit_rows(3) * 2.0, Metric::Spherical).contains("centroid 0 has length 2"));
    assert!(with(Array2::zeros((2, 4)), Metric::Euclidean).contains("4 dimensions, the rows 5"));
    assert!(with(Array2::zeros((0, 5)), Metric::Euclidean).contains("no centroid for 10 rows"));
    let mut broken = unit_rows(3);
    broken[[2, 0]] = f32::INFINITY;
    assert!(with(broken.clone(), Metric::Euclidean).contains("centroid 2 holds a NaN"));
    let kmeans = KMeansParams::new(3).check().unwrap();
    let from = |start: Array2<f32>| {
        complaint(kmeans.fit_from(start.view(), &rows.view(), &ids(10), &NoProgress))
    };
    assert!(from(broken).contains("centroid 2 holds a NaN"));
    assert!(from(unit_rows(3) * 0.5).contains("centroid 0 has length 0.5"));
}

#[test]
fn a_hierarchy_is_asked_for_what_it_has() {
    let rows = unit_rows(30);
    let params = HierarchyParams::new(KMeansParams::new(1), vec![Level::new(6), Level::new(2)]);
    let fit = || params.clone().check().unwrap().fit(&rows.view(), &ids(30), &NoProgress);
    let found: Hierarchy = fit().unwrap();
    assert!(complaint(found.clusters_at(2)).contains("no level 2 among 2"));
    assert!(complaint(found.clusters_at(usize::MAX)).contains("no level"));
    let said = complaint(found.sample(5, &ids(31), Choice::Random, 0));
    assert!(said.contains("31 entries of `ids` for 30 rows"), "{said}");
}

#[test]
fn no_rows_no_numbers_and_one_row_are_no_trouble() {
    let one = KMeansParams::new(1).check().unwrap();
    let found = one.fit(&array![[1.0_f32, 0.0]].view(), &ids(1), &NoProgress).unwrap();
    assert_eq!(found.sizes(), [1]);
    for metric in [Metric::Spherical, Metric::Euclidean] {
        let empty = Array2::<f32>::zeros((3, 0));
        let kmeans = KMeansParams::new(1).metric(metric).check().unwrap();
        let said = complaint(kmeans.fit(&empty.view(), &ids(3), &NoProgress));
        assert!(said.contains("3 rows have no dimensions"), "{said}");
        let said = complaint(assign(empty.view(), metric, &empty.view(), &NoProgress));
        assert!(said.contains("3 rows have no dimensions"), "{said}");
        let none = Array2::<f32>::zeros((0, 4));
        let assigned = assign(none.view(), metric, &none.view(), &NoProgress).unwrap();
        assert_eq!((assigned.k(), assigned.rows()), (0, 0));
    }
    assert!(Ordered::from_clusters(vec![], 0).unwrap().clusters().is_empty());
}

/// Takes down tasks, and cancels after some blocks.
#[derive(Default)]
struct Watch {
    tasks: Mutex<Vec<(String, u64, u64)>>,
    open: Mutex<i64>,
    blocks_left: Option<Mutex<usize>>,
}

impl Progress for Watch {
    fn start(&self, task: &str, total: u64, _unit: &str) {
        *self.open.lock().unwrap() += 1;
        self.tasks.lock().unwrap().push((task.to_owned(), total, 0));
    }

    fn advance(&self, by: u64) {
        self.tasks.lock().unwrap().last_mut().unwrap().2 += by;
        if let Some(left) = &self.blocks_left {
            *left.lock().unwrap() -= 1;
        }
    }

    fn finish(&self) {
        *self.open.lock().unwrap() -= 1;
    }

    fn is_cancelled(&self) -> bool {
        self.blocks_left.as_ref().is_some_and(|left| *left.lock().unwrap() == 0)
    }
}

#[test]
fn every_task_ends_at_its_total_and_is_finished_also_when_it_is_cancelled_or_fails() {
    let rows = unit_rows(50);
    for metric in [Metric::Spherical, Metric::Euclidean] {
        for batch in [None, Some(20)] {
            let params = KMeansParams::new(3).metric(metric).batch_rows(batch).iterations(9);
            let kmeans = params.init(curate_cluster::Init::PlusPlus).check().unwrap();
            let watch = Watch::default();
            let found = kmeans.fit(&rows.view(), &ids(50), &watch).unwrap();
            let tasks = watch.tasks.lock().unwrap();
            for (name, total, done) in tasks.iter() {
                assert_eq!(total, done, "{name}");
            }
            let passes = tasks.iter().filter(|(name, ..)| name.contains(" pass ")).count();
            assert_eq!(passes, found.objective.len());
            assert!(tasks.iter().any(|(name, ..)| name.ends_with("pass 1 of 9")), "{tasks:?}");
            assert_eq!(*watch.open.lock().unwrap(), 0);

            for blocks in 0..5 {
                let watch = Watch { blocks_left: Some(Mutex::new(blocks)), ..Watch::default() };
                let error = kmeans.fit(&rows.view(), &ids(50), &watch).unwrap_err();
                assert!(error.to_string().contains("stopped"), "{error}");
                assert_eq!(*watch.open.lock().unwrap(), 0, "after {blocks} blocks");
            }
        }
    }
    let watch = Watch::default();
    assign(unit_rows(2).view(), Metric::Spherical, &(rows * 3.0).view(), &watch).unwrap_err();
    assert_eq!(*watch.open.lock().unwrap(), 0);
}
