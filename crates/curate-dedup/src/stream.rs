//! A cluster too large to hold: pairs of blocks, read as they are needed.

use curate_core::{EmbeddingSource, Progress, SourceError};
use curate_kernels::{Centroids, Earlier, Nearest};

/// Rows of a block compared at once with the survivors of the same block.
const TILE: usize = 64;

/// The most similar earlier row of each row of `cluster` (the most similar earlier survivor, given
/// the threshold of a greedy search), holding two blocks of `block_rows` vectors and a packed copy.
///
/// The same answer as `curate_kernels::max_earlier` and `survivors` to the bit: an inner product does
/// not depend on its neighbors, and of equal ones the earliest is kept.
pub(crate) fn search<S: EmbeddingSource + ?Sized>(
    source: &S,
    cluster: &[usize],
    block_rows: usize,
    greedy: Option<f32>,
    progress: &dyn Progress,
) -> Result<Vec<Earlier>, SourceError> {
    let dim = source.dim();
    let mut found: Vec<Earlier> = Vec::with_capacity(cluster.len());
    for (b, rows) in cluster.chunks(block_rows).enumerate() {
        let first = b * block_rows;
        let vectors = gather(source, rows)?;
        let mut best = vec![Earlier::default(); rows.len()];
        for start in (0..first).step_by(block_rows) {
            progress.check()?;
            // Only survivors count in a greedy search, so only they are read.
            let stays =
                |&i: &usize| greedy.is_none_or(|threshold| found[i].similarity <= threshold);
            let positions: Vec<usize> = (start..start + block_rows).filter(stays).collect();
            let earlier: Vec<usize> = positions.iter().map(|&i| cluster[i]).collect();
            improve(&mut best, &vectors, &gather(source, &earlier)?, &positions, dim);
        }
        match greedy {
            None => within(&mut best, &vectors, first, dim),
            Some(threshold) => survivors_within(&mut best, &vectors, first, dim, threshold),
        }
        found.extend(best);
        progress.advance(rows.len() as u64);
    }
    Ok(found)
}

/// The vectors of some rows. One with a NaN or an infinity comes as zeros, which are similar to
/// nothing: an infinity would be everybody's most similar row.
pub(crate) fn gather<S: EmbeddingSource + ?Sized>(
    source: &S,
    rows: &[usize],
) -> Result<Vec<f32>, SourceError> {
    let mut vectors = vec![0.0; rows.len() * source.dim()];
    source.gather(rows, &mut vectors)?;
    for vector in vectors.chunks_exact_mut(source.dim().max(1)) {
        if !vector.iter().all(|x| x.is_finite()) {
            vector.fill(0.0);
        }
    }
    Ok(vectors)
}

/// Compares every row with every vector of an earlier block.
fn improve(best: &mut [Earlier], rows: &[f32], earlier: &[f32], positions: &[usize], dim: usize) {
    if positions.is_empty() || dim == 0 {
        return;
    }
    let mut nearest = vec![Nearest::default(); best.len()];
    Centroids::new(earlier, dim, None).nearest_parallel(rows, &mut nearest);
    for (best, nearest) in best.iter_mut().zip(nearest) {
        // A later block has to be better: of equals the earliest stays.
        if nearest.value > best.similarity {
            let position = positions[nearest.index as usize] as u32;
            *best = Earlier { similarity: nearest.value, position: Some(position) };
        }
    }
}

fn within(best: &mut [Earlier], rows: &[f32], first: usize, dim: usize) {
    for (best, found) in best.iter_mut().zip(curate_kernels::max_earlier(rows, dim)) {
        if found.similarity > best.similarity {
            let position = found.position.map(|position| position + first as u32);
            *best = Earlier { position, ..found };
        }
    }
}

/// Rows of one block, compared with the survivors before them in the same block. `best` holds what
/// earlier blocks gave.
fn survivors_within(best: &mut [Earlier], rows: &[f32], first: usize, dim: usize, threshold: f32) {
    let dim = dim.max(1);
    // Survivors of this block and their places in it.
    let (mut vectors, mut places): (Vec<f32>, Vec<usize>) = (Vec::new(), Vec::new());
    for (t, tile) in rows.chunks(TILE * dim).enumerate() {
        let start = t * TILE;
        let count = tile.len() / dim;
        let positions: Vec<usize> = places.iter().map(|place| first + place).collect();
        improve(&mut best[start..start + count], tile, &vectors, &positions, dim);
        let products = curate_kernels::inner_products(tile, tile, dim);
        for j in 0..count {
            for i in 0..j {
                let similarity = products[j * count + i];
                let stays = best[start + i].similarity <= threshold;
                if stays && similarity > best[start + j].similarity {
                    let position = Some((first + start + i) as u32);
                    best[start + j] = Earlier { similarity, position };
                }
            }
            if best[start + j].similarity <= threshold {
                vectors.extend_from_slice(&tile[j * dim..][..dim]);
                places.push(start + j);
            }
        }
    }
}
