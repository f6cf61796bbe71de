//! How good scores and embeddings are.

use curate_kernels::{Centroids, Nearest};

/// Probability that a right pair scores above a wrong one, ties counting half (the area under the
/// ROC curve). `None` without one of each.
pub fn auroc(scores: &[f32], right: &[bool]) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len().min(right.len())).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut rank_sum, mut rights, mut first) = (0.0, 0_usize, 0);
    while first < order.len() {
        let same = order[first..].iter().take_while(|&&i| scores[i] == scores[order[first]]);
        let last = first + same.count().max(1);
        let shared = (first + last + 1) as f64 / 2.0;
        let tied = order[first..last].iter().filter(|&&i| right[i]).count();
        rank_sum += tied as f64 * shared;
        rights += tied;
        first = last;
    }
    let wrongs = order.len() - rights;
    if rights == 0 || wrongs == 0 {
        return None;
    }
    let (rights, wrongs) = (rights as f64, wrongs as f64);
    Some((rank_sum - rights * (rights + 1.0) / 2.0) / (rights * wrongs))
}

/// Share of `kept` rows that are right; `None` for none.
pub fn precision(kept: &[usize], right: &[bool]) -> Option<f64> {
    let hits = kept.iter().filter(|&&row| right[row]).count();
    (!kept.is_empty()).then(|| hits as f64 / kept.len() as f64)
}

/// Share of queries whose nearest candidate (largest inner product, ties to the first) is their
/// own: zero-shot accuracy when candidates are classes, recall at 1 when they are texts. Queries
/// and candidates have `dim` elements each. `None` without queries or candidates.
pub fn top_1(queries: &[f32], candidates: &[f32], own: &[usize], dim: usize) -> Option<f64> {
    if own.is_empty() || candidates.is_empty() {
        return None;
    }
    let mut nearest = vec![Nearest::default(); own.len()];
    Centroids::new(candidates, dim, None).nearest_parallel(queries, &mut nearest);
    let hits = nearest.iter().zip(own).filter(|(found, own)| found.index as usize == **own).count();
    Some(hits as f64 / own.len() as f64)
}

/// Mean and standard deviation (of a sample; zero for one value).
pub fn mean_and_spread(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
    (mean, if values.len() > 1 { (squares / (n - 1.0)).sqrt() } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auroc_by_hand() {
        assert_eq!(auroc(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]), Some(0.75));
        assert_eq!(auroc(&[1.0, 1.0], &[true, false]), Some(0.5));
        assert_eq!(auroc(&[3.0, 2.0, 1.0], &[true, false, false]), Some(1.0));
        assert_eq!(auroc(&[1.0], &[true]), None);
        let with_nan = auroc(&[f32::NAN, 0.0, 1.0], &[false, false, true]);
        assert_eq!(with_nan, Some(0.5), "a NaN sorts last and is no tie");
    }

    #[test]
    fn precision_and_top_1_by_hand() {
        assert_eq!(precision(&[0, 2], &[true, false, false]), Some(0.5));
        assert_eq!(precision(&[], &[true]), None);
        let (queries, candidates) = ([1.0, 0.0, 0.6, 0.8], [1.0, 0.0, 0.0, 1.0]);
        assert_eq!(top_1(&queries, &candidates, &[0, 0], 2), Some(0.5));
        assert_eq!(top_1(&[], &candidates, &[], 2), None);
    }

    #[test]
    fn spread_is_of_a_sample() {
        assert_eq!(mean_and_spread(&[1.0, 3.0]), (2.0, 2f64.sqrt()));
        assert_eq!(mean_and_spread(&[5.0]), (5.0, 0.0));
    }
}
