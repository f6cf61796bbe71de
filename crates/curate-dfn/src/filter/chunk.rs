//! Some pairs of a pool through a network.

use curate_io::Pool;
use rayon::prelude::*;

use crate::{
    Network,
    filter::{
        FilterError,
        bad::{BadRow, Trouble},
    },
};

/// Samples that are read, decoded and embedded together; what is held in memory beside a shard's
/// embeddings. The results do not depend on it.
pub const EMBEDDED_TOGETHER: usize = 256;

/// Some pairs of a pool, in the order of their rows.
pub(super) struct Chunk {
    /// Embeddings of the images; NaN where a row is bad.
    pub(super) images: Vec<f32>,
    /// Embeddings of the texts.
    pub(super) texts: Vec<f32>,
    pub(super) bad: Vec<BadRow>,
}

pub(super) fn embed_chunk(
    network: &Network,
    pool: &Pool,
    rows: &[usize],
) -> Result<Chunk, FilterError> {
    let samples = pool.samples_with_images(rows)?;
    let pixels: Vec<Result<Vec<f32>, Trouble>> = samples
        .par_iter()
        .map(|sample| {
            if sample.caption.is_none() {
                return Err(Trouble::NoCaption);
            }
            let file = sample.image.as_ref().ok_or(Trouble::NoImage)?;
            Ok(network.transform().apply(file)?)
        })
        .collect();
    let dim = network.dim();
    let mut chunk = Chunk {
        images: vec![f32::NAN; rows.len() * dim],
        texts: vec![f32::NAN; rows.len() * dim],
        bad: vec![],
    };
    let mut bad: Vec<(usize, Trouble)> = Vec::new();
    let (mut good, mut numbers, mut captions) = (Vec::new(), Vec::new(), Vec::new());
    for (i, (sample, pixels)) in samples.iter().zip(pixels).enumerate() {
        match pixels {
            Ok(pixels) => {
                good.push(i);
                numbers.extend(pixels);
                captions.push(sample.caption.as_deref().unwrap_or_default());
            }
            Err(trouble) => bad.push((i, trouble)),
        }
    }
    let (images, texts) = (network.embed_images(&numbers)?, network.embed_texts(&captions)?);
    let embedded = images.chunks_exact(dim).zip(texts.chunks_exact(dim));
    for (&i, (image, text)) in good.iter().zip(embedded) {
        if text.iter().any(|x| x.is_nan()) {
            bad.push((i, Trouble::CaptionFailed));
            continue;
        }
        let at = i * dim..(i + 1) * dim;
        chunk.images[at.clone()].copy_from_slice(image);
        chunk.texts[at].copy_from_slice(text);
    }
    bad.sort_by_key(|&(i, _)| i);
    chunk.bad = bad.iter().map(|(i, trouble)| trouble.of(samples[*i].id)).collect();
    Ok(chunk)
}
