use proptest::prelude::*;

use super::*;

/// Rows of any scale; their clusters; and the sums in `i128`, one number after the other.
fn reference(sums: &CentroidSums, vectors: &[f32], clusters: &[u32]) -> Vec<i128> {
    let mut totals = vec![0; sums.recent.len()];
    for (row, &c) in vectors.chunks_exact(sums.dim).zip(clusters) {
        for (t, &x) in row.iter().enumerate() {
            let exact = f64::from(x) * 2_f64.powi(sums.steps.exponent());
            totals[c as usize * sums.dim + t] += exact.round_ties_even() as i128;
        }
    }
    totals
}

fn bytes(sums: &CentroidSums) -> String {
    serde_json::to_string(sums).unwrap()
}

proptest! {
    #[test]
    fn any_order_split_and_detour_gives_the_sums_of_a_plain_loop(
        rows in prop::collection::vec((prop::array::uniform3(-1_f32..1.0), 0_u32..4), 0..60),
        exponent in -60_i32..60,
        parts in 1_usize..7,
        turn in 0_usize..60,
    ) {
        let largest = 2_f32.powi(exponent);
        let vectors: Vec<f32> =
            rows.iter().flat_map(|(row, _)| row.map(|x| x * largest)).collect();
        let clusters: Vec<u32> = rows.iter().map(|&(_, c)| c).collect();
        let empty = CentroidSums::of_rows_up_to(largest, 4, 3).unwrap();
        let mut whole = empty.clone();
        whole.add(&vectors, &clusters).unwrap();
        let totals: Vec<i128> = whole.totals().collect();
        prop_assert_eq!(totals, reference(&whole, &vectors, &clusters));

        // Parts of a turned order, merged from the last to the first.
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.rotate_left(turn.min(rows.len()));
        let mut merged = empty.clone();
        for part in order.chunks(order.len().div_ceil(parts).max(1)).rev() {
            let mut sums = empty.clone();
            for &row in part {
                sums.add(&vectors[3 * row..][..3], &clusters[row..=row]).unwrap();
            }
            // A part that ran twice, and was counted once.
            merged.merge(&sums).unwrap();
            merged.merge(&sums).unwrap();
            for &row in part {
                merged.subtract(&vectors[3 * row..][..3], &clusters[row..=row]).unwrap();
            }
        }
        prop_assert_eq!(&merged, &whole);
        prop_assert_eq!(bytes(&merged), bytes(&whole));

        // Every row goes to the next cluster and comes back.
        let away: Vec<u32> = clusters.iter().map(|c| (c + 1) % 4).collect();
        for (from, to) in [(&clusters, &away), (&away, &clusters)] {
            merged.subtract(&vectors, from).unwrap();
            merged.add(&vectors, to).unwrap();
        }
        prop_assert_eq!(bytes(&merged), bytes(&whole));
        for metric in [Metric::Spherical, Metric::Euclidean] {
            let previous = [0.5; 12];
            prop_assert_eq!(
                merged.centroids(metric, &previous).unwrap(),
                whole.centroids(metric, &previous).unwrap()
            );
        }
    }
}

#[test]
fn sums_beyond_64_bits_are_carried_over_and_stay_exact() {
    // 8,192 rows of the largest number, often enough to pass 2^63 steps, in the first cluster.
    let vectors = [[2.0, -2.0]; BLOCK_ROWS].concat();
    let mut sums = CentroidSums::of_unit_rows(2, 2);
    for _ in 0..600 {
        sums.add(&vectors, &[0; BLOCK_ROWS]).unwrap();
    }
    sums.add(&[0.25, 0.5], &[1]).unwrap();
    let most = 600 * BLOCK_ROWS as i128 * (1 << 41);
    assert!(most > i128::from(i64::MAX));
    let totals: Vec<i128> = sums.totals().collect();
    assert_eq!(totals, [most, -most, 1 << 38, 1 << 39]);
    assert_eq!(sums.centroids(Metric::Euclidean, &[0.0; 4]).unwrap(), [2.0, -2.0, 0.25, 0.5]);
    for _ in 0..600 {
        sums.subtract(&vectors, &[0; BLOCK_ROWS]).unwrap();
    }
    let mut once = CentroidSums::of_unit_rows(2, 2);
    once.add(&[0.25, 0.5], &[1]).unwrap();
    assert_eq!(sums, once);
    assert_eq!(bytes(&sums), bytes(&once));
    sums.forget(1);
    assert_eq!(sums, once.empty());
}

#[test]
fn stored_sums_come_back_and_broken_ones_are_refused() {
    let mut sums = CentroidSums::of_rows_up_to(1e9, 2, 1).unwrap();
    sums.add(&[1e9, -1e9, 1e9], &[0, 0, 1]).unwrap();
    let stored = bytes(&sums);
    let mut back: CentroidSums = serde_json::from_str(&stored).unwrap();
    assert_eq!(back, sums);
    back.subtract(&[-1e9], &[0]).unwrap();
    assert_eq!(back.sizes(), [1, 1]);
    assert_eq!(back.centroids(Metric::Euclidean, &[0.0, 0.0]).unwrap(), [1e9, 1e9]);
    for (from, to) in [("\"dim\":1", "\"dim\":2"), ("\"exponent\":10", "\"exponent\":999")] {
        assert!(stored.contains(from), "{stored}");
        assert!(serde_json::from_str::<CentroidSums>(&stored.replace(from, to)).is_err());
    }
}

#[test]
fn what_cannot_be_added_is_named_and_changes_nothing() {
    let mut sums = CentroidSums::of_unit_rows(2, 2);
    sums.add(&[0.6, 0.8], &[1]).unwrap();
    let before = sums.clone();
    let mut complaint = |vectors: &[f32], clusters: &[u32]| {
        let error = sums.add(vectors, clusters).unwrap_err();
        assert_eq!(sums, before);
        error.to_string()
    };
    assert!(complaint(&[1.0, 0.0, 1.0], &[0]).contains("3 numbers for 1 "));
    assert!(complaint(&[1.0, 0.0, 1.0, 0.0], &[0, 2]).contains("row 1 is in cluster 2 of 2"));
    for bad in [2.1, f32::NAN, f32::NEG_INFINITY] {
        assert!(complaint(&[1.0, 0.0, bad, 0.0], &[0, 1]).contains("row 1 holds"), "{bad}");
    }
    let error = sums.subtract(&[1.0, 0.0], &[0]).unwrap_err();
    assert!(error.to_string().contains("cluster 0"), "{error}");
    assert_eq!(sums, before);
    assert!(sums.centroids(Metric::Spherical, &[0.0; 3]).is_err());
    let other = [
        CentroidSums::of_unit_rows(3, 2),
        CentroidSums::of_unit_rows(2, 3),
        CentroidSums::of_rows_up_to(5.0, 2, 2).unwrap(),
    ];
    for (other, what) in other.iter().zip(["clusters", "dimensions", "scale"]) {
        assert!(sums.merge(other).unwrap_err().to_string().contains(what));
    }
    assert_eq!(sums, before);
    for wrong in [f32::NAN, f32::INFINITY, -1.0] {
        assert!(CentroidSums::of_rows_up_to(wrong, 1, 1).is_err());
    }
}

#[test]
fn rows_that_cancel_leave_the_centroid_where_it_was() {
    let mut sums = CentroidSums::of_unit_rows(3, 2);
    // In floating point 0.1 + 0.2 - 0.3 is not 0.
    sums.add(&[0.1, 0.0, 0.2, 0.0, -0.1, 0.0, -0.2, 0.0, 3e-1, 4e-1], &[0, 0, 0, 0, 1]).unwrap();
    let found = sums.centroids(Metric::Spherical, &[0.0, 1.0, 0.0, 1.0, -1.0, 0.0]).unwrap();
    assert_eq!(found, [0.0, 1.0, 0.6, 0.8, -1.0, 0.0]);
}
