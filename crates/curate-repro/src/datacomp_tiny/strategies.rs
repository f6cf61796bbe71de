//! The filters.

use anyhow::Result;
use curate_cluster::{KMeansParams, Metric};
use curate_core::{Cut, NoProgress, Rows, Selection, random};
use curate_dedup::SemanticDedupParams;
use curate_eval::{ProbeParams, Towers};
use curate_prune::ConceptPruneParams;
use ndarray::{Array2, Axis};
use serde::Serialize;

use crate::{
    dfn_small::{
        best,
        protocol::{CLEAN, Data, KEEP},
        random_rows,
    },
    tiny::unit,
};

/// Clusters of the image-based filter: about 36 pictures each.
const IMAGE_CLUSTERS: usize = 1000;
/// Concepts of pruning (DataComp medium has as many in the paper).
const CONCEPTS: usize = 100;
/// Shares of the pool that deduplication and the filter before pruning keep.
const DEDUPLICATED: f64 = 0.8;
const BEFORE_PRUNING: f64 = 0.45;

/// What is kept of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Everything.
    NoFilter,
    /// 30 %, drawn at random.
    Random,
    /// The best 30 % by a network that learned the pool itself.
    ClipScore,
    /// Pairs whose picture is in a cluster that is nearest to a picture of one clean source.
    ImageBased,
    /// The best 30 % by CLIP score, of them those that the image-based filter keeps.
    ImageAndClip,
    /// The best 30 % by a network that learned the clean sets.
    Dfn,
    /// Of the 80 % that are left without near duplicates the best by that network, and of them 30 % of the pool by the
    /// complexity of concepts.
    DfnDedupPrune,
}

impl Strategy {
    /// All, in the order of the tables.
    pub const ALL: [Self; 7] = [
        Self::NoFilter,
        Self::Random,
        Self::ClipScore,
        Self::ImageBased,
        Self::ImageAndClip,
        Self::Dfn,
        Self::DfnDedupPrune,
    ];

    /// The strategy in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::NoFilter => "no filter",
            Self::Random => "random",
            Self::ClipScore => "CLIP score",
            Self::ImageBased => "image-based",
            Self::ImageAndClip => "image-based and CLIP score",
            Self::Dfn => "DFN",
            Self::DfnDedupPrune => "DFN, deduplicated and pruned",
        }
    }
}

/// What each strategy keeps of a pool of pairs, as places in it.
pub(super) fn all(
    data: &Data,
    pool: &[(usize, usize)],
    seed: u64,
) -> Result<Vec<(Strategy, Vec<usize>)>> {
    let everything: Vec<usize> = (0..pool.len()).collect();
    let count = (KEEP * pool.len() as f64) as usize;
    // A network's seed is its own, so that no filter shares weights with the models it feeds.
    let filter = ProbeParams::new().seed(random::derive(seed, "filter")).check()?;
    let scores = |set: &[(usize, usize)]| -> Result<Vec<f32>> {
        let towers: Towers = filter.run(&data.pairs(), set, &NoProgress)?;
        Ok(towers.cosines(&data.pairs(), pool)?)
    };
    let (clip, dfn) = (scores(pool)?, scores(&data.clean_up_to(CLEAN.len() - 1))?);
    let pictures: Vec<usize> = pool.iter().map(|&(image, _)| image).collect();
    let vectors = unit(&data.rows(&pictures).0);
    let image_based = image_based(data, &vectors, seed)?;
    let by_clip = best(&clip, &everything, KEEP);
    let both = by_clip.iter().copied().filter(|row| image_based.binary_search(row).is_ok());
    let kept = |strategy: Strategy| -> Result<Vec<usize>> {
        Ok(match strategy {
            Strategy::NoFilter => everything.clone(),
            Strategy::Random => random_rows(pool.len(), count, seed),
            Strategy::ClipScore => by_clip.clone(),
            Strategy::ImageBased => image_based.clone(),
            Strategy::ImageAndClip => both.clone().collect(),
            Strategy::Dfn => best(&dfn, &everything, KEEP),
            Strategy::DfnDedupPrune => deduplicated_and_pruned(&vectors, &dfn, seed)?,
        })
    };
    Strategy::ALL.into_iter().map(|strategy| Ok((strategy, kept(strategy)?))).collect()
}

/// DataComp's rule: clusters of the pool's pictures, of them those that are nearest to a picture of a target, by the
/// largest inner product with centroids as they are.
fn image_based(data: &Data, vectors: &Array2<f32>, seed: u64) -> Result<Vec<usize>> {
    let rows = Rows::new(vectors)?;
    let k_means = KMeansParams::new(IMAGE_CLUSTERS).metric(Metric::Euclidean).seed(seed);
    let clusters = k_means.check()?.run(&rows, &NoProgress)?;
    let centroids = &clusters.clustering().centroids;
    let target: Vec<usize> = data.clean_up_to(0).iter().map(|&(image, _)| image).collect();
    let wanted = nearest(&unit(&data.rows(&target).0), centroids);
    let own = nearest(vectors, centroids);
    let is_wanted: Vec<bool> = (0..clusters.k()).map(|cluster| wanted.contains(&cluster)).collect();
    Ok((0..own.len()).filter(|&row| is_wanted[own[row]]).collect())
}

/// The centroid with the largest inner product with each row; of equal ones the first.
fn nearest(rows: &Array2<f32>, centroids: &Array2<f32>) -> Vec<usize> {
    let best = |products: ndarray::ArrayView1<'_, f32>| {
        let better = |best: usize, at: usize| if products[at] > products[best] { at } else { best };
        (0..products.len()).fold(0, better)
    };
    let mut found = Vec::with_capacity(rows.nrows());
    for block in rows.axis_chunks_iter(Axis(0), 1024) {
        found.extend(block.dot(&centroids.t()).rows().into_iter().map(best));
    }
    found
}

fn deduplicated_and_pruned(vectors: &Array2<f32>, dfn: &[f32], seed: u64) -> Result<Vec<usize>> {
    let n = vectors.nrows() as f64;
    let count = |share: f64| Cut::Top((share * n) as usize);
    let rows = Rows::new(vectors)?;
    let dedup = SemanticDedupParams::new().seed(seed).check()?;
    let left = dedup.run(&rows, &NoProgress)?.select(count(DEDUPLICATED))?;
    let good = best(dfn, left.rows(), BEFORE_PRUNING * n / left.len() as f64);
    let good = Selection::from_unsorted(good);
    let prune = ConceptPruneParams::paper().clusters(CONCEPTS).seed(seed).check()?;
    let pruned = prune.run(&rows.only(&good)?, &NoProgress)?.select(count(KEEP))?;
    Ok(pruned.rows().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_centroid_has_the_largest_product_and_lengths_count() -> Result<()> {
        let rows = Array2::from_shape_vec((2, 2), vec![1.0, 0.0, 0.6, 0.8])?;
        let centroids = Array2::from_shape_vec((3, 2), vec![0.5, 0.0, 0.0, 0.9, 0.5, 0.0])?;
        assert_eq!(nearest(&rows, &centroids), [0, 1]);
        Ok(())
    }
}
