//! Training in parts.

use curate_core::{NoProgress, embedding::RowsOf};

use super::*;
use crate::{Init, KMeansParams, mixture::mixture, result::assign};

fn ids(n: usize) -> Vec<SampleId> {
    (0..n as u128).map(|i| SampleId(i * 77 + 5)).collect()
}

/// Trains in parts that begin at these rows, the last part first, each written down and read back. Some
/// parts are remembered from pass to pass, some from every third, some never.
fn in_parts(params: &KMeansParams, rows: &Array2<f32>, begins: &[usize]) -> Clustering {
    let kmeans = params.clone().check().unwrap();
    let (ids, n) = (ids(rows.nrows()), rows.nrows());
    assert!(kmeans.is_in_parts());
    let ends = begins.iter().skip(1).copied().chain([n]);
    let parts: Vec<Vec<usize>> =
        begins.iter().zip(ends).map(|(&from, to)| (from..to).collect()).collect();
    let mut training = kmeans.begin(rows, &ids, &NoProgress).unwrap();
    let mut before: Vec<PartPass> = Vec::new();
    let mut memory: Vec<PartMemory> = parts.iter().map(|_| PartMemory::default()).collect();
    while !training.is_done(&kmeans) {
        let pass = |(p, (part, memory)): (usize, (&Vec<usize>, &mut PartMemory))| {
            let source = RowsOf::new(rows, part);
            let ids: Vec<_> = part.iter().map(|&row| ids[row]).collect();
            let memory = match p % 3 {
                0 => Some(memory),
                1 => training.passes().is_multiple_of(3).then_some(memory),
                _ => None,
            };
            let found = kmeans.pass_with(&training, &source, &ids, memory, &NoProgress).unwrap();
            let written = serde_json::to_string(&found).unwrap();
            serde_json::from_str(&written).unwrap()
        };
        let each = parts.iter().zip(&mut memory).enumerate();
        let passes: Vec<PartPass> = each.map(pass).collect();
        let moved = passes.iter().enumerate().map(|(p, pass)| pass.moved_since(before.get(p)));
        let moved = moved.sum();
        let numbered = begins.iter().copied().zip(passes.iter().cloned()).rev();
        training = kmeans.next(training, numbered, moved, rows).unwrap();
        before = passes;
    }
    let assigned: Vec<Assignment> = parts
        .iter()
        .map(|part| {
            let source = RowsOf::new(rows, part);
            assign(training.centroids().view(), Metric::Spherical, &source, &NoProgress)
        })
        .collect::<Result<_, _>>()
        .unwrap();
    training.clustering(assigned).unwrap()
}

#[test]
fn parts_of_any_size_have_the_bytes_of_one_process() {
    let rows = mixture(1_500, 30, 12);
    for (k, init, empty) in [
        (20, Init::Random, EmptyClusters::WorstRow),
        (200, Init::Random, EmptyClusters::WorstRow),
        (200, Init::PlusPlus, EmptyClusters::Split),
        (300, Init::Random, EmptyClusters::Split),
    ] {
        let params = KMeansParams::new(k).init(init).empty_clusters(empty).seed(3).iterations(12);
        let whole = params.clone().check().unwrap();
        let whole = whole.fit(&rows, &ids(1_500), &NoProgress).unwrap();
        for begins in [vec![0], vec![0, 1, 700], vec![0, 100, 100, 900, 1_499]] {
            assert_eq!(in_parts(&params, &rows, &begins), whole, "{k} {begins:?}");
        }
    }
}

#[test]
fn empty_clusters_are_lent_rows_of_any_part() {
    // Equal rows, of which more are drawn as starts than there are places: clusters are empty.
    let rows = Array2::from_shape_fn((60, 2), |(i, t)| match (i % 10, t) {
        (0, 0) => -((i / 10) as f32 * 0.2).cos(),
        (0, _) => (i as f32 / 10.0 * 0.2).sin(),
        (_, t) => f32::from(t == 0),
    });
    let params = KMeansParams::new(12).seed(5).tolerance(0.0);
    let whole = params.clone().check().unwrap().fit(&rows, &ids(60), &NoProgress).unwrap();
    assert!(whole.reseeded > 0, "the case is about empty clusters");
    assert_eq!(in_parts(&params, &rows, &[0, 13, 40]), whole);
}

#[test]
fn what_cannot_be_taken_apart_is_trained_at_once() {
    let rows = mixture(900, 9, 8);
    let ids = ids(900);
    for params in [
        KMeansParams::new(9).train_rows_per_cluster(Some(10)),
        KMeansParams::new(9).batch_rows(Some(100)),
    ] {
        let kmeans = params.check().unwrap();
        assert!(!kmeans.is_in_parts());
        let whole = kmeans.fit(&rows, &ids, &NoProgress).unwrap();
        let training = kmeans.train_at_once(&rows, &ids, &NoProgress).unwrap();
        let view = training.centroids().view();
        let assigned = assign(view, Metric::Spherical, &rows, &NoProgress).unwrap();
        assert_eq!(training.clustering([assigned]).unwrap(), whole);
    }
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let rows = mixture(60, 4, 6);
    let ids = ids(60);
    let kmeans = KMeansParams::new(4).check().unwrap();
    let training = kmeans.begin(&rows, &ids, &NoProgress).unwrap();
    let said = |error: ClusterError| error.to_string();
    for other in [
        KMeansParams::new(4).metric(Metric::Euclidean),
        KMeansParams::new(4).batch_rows(Some(10)),
        KMeansParams::new(4).train_rows_per_cluster(Some(2)),
    ] {
        let other = other.check().unwrap();
        let refused = [
            other.begin(&rows, &ids, &NoProgress).map(drop),
            other.pass(&training, &rows, &ids, &NoProgress).map(drop),
            other.next(training.clone(), [], 0, &rows).map(drop),
        ];
        assert!(refused.into_iter().all(|found| matches!(found, Err(ClusterError::NotInParts))));
    }
    let few = KMeansParams::new(61).check().unwrap().begin(&rows, &ids, &NoProgress);
    assert!(said(few.unwrap_err()).contains("61 clusters need at least as many rows"));
    assert!(said(kmeans.begin(&rows, &ids[1..], &NoProgress).unwrap_err()).contains("59 ids"));
    assert!(said(kmeans.pass(&training, &rows, &[], &NoProgress).unwrap_err()).contains("0 ids"));
    let narrow = mixture(60, 4, 5);
    let error = kmeans.pass(&training, &narrow, &ids, &NoProgress).unwrap_err();
    assert!(said(error).contains("6 dimensions, the rows 5"));
    let more = KMeansParams::new(5).check().unwrap();
    let error = more.next(training.clone(), [], 0, &rows).unwrap_err();
    assert!(said(error).contains("4 start centroids for 5 clusters"));

    // Trained at once, a Euclidean k-means stays one.
    let euclidean = KMeansParams::new(4).metric(Metric::Euclidean).check().unwrap();
    let training = euclidean.train_at_once(&rows, &ids, &NoProgress).unwrap();
    let view = training.centroids().view();
    let assigned = assign(view, Metric::Euclidean, &rows, &NoProgress).unwrap();
    let whole = euclidean.fit(&rows, &ids, &NoProgress).unwrap();
    assert_eq!(training.clustering([assigned]).unwrap(), whole);
}
